#pragma once

#include "StubObjects.h"

class FTickerDelegate {
public:
    template <class T> static FTickerDelegate CreateUObject(T *of, bool (T::*method)(float))
    {
        static_assert(std::is_base_of<UObject, T>::value, "only objects are bound");
        FTickerDelegate made;
        made.Call = [of, method](float delta) { return (of->*method)(delta); };
        return made;
    }
    std::function<bool(float)> Call;
};

class FTSTicker {
    struct FElement {
        std::function<bool(float)> Call;
        float Delay = 0;
        float Left = 0;
        bool bRemoved = false;
    };

public:
    using FDelegateHandle = TWeakPtr<FElement>;

    static FTSTicker &GetCoreTicker()
    {
        static FTSTicker ticker;
        return ticker;
    }
    /// One that is added during a tick is called in the next.
    FDelegateHandle AddTicker(const FTickerDelegate &delegate, float delay = 0)
    {
        const TSharedPtr<FElement> made = MakeShared<FElement>();
        made->Call = delegate.Call;
        made->Delay = made->Left = delay;
        elements_.push_back(made);
        return made;
    }
    static void RemoveTicker(FDelegateHandle handle)
    {
        const TSharedPtr<FElement> element = handle.Pin();
        if (element.IsValid()) element->bRemoved = true;
    }
    void Tick(float delta)
    {
        check(IsInGameThread());
        const std::vector<TSharedPtr<FElement>> now = elements_;
        for (const TSharedPtr<FElement> &element : now) {
            element->Left -= delta;
            if (element->bRemoved || element->Left > 0) continue;
            element->Left = element->Delay;
            if (!element->Call(delta)) element->bRemoved = true;
        }
        const auto gone = [](const TSharedPtr<FElement> &each) { return each->bRemoved; };
        elements_.erase(std::remove_if(elements_.begin(), elements_.end(), gone), elements_.end());
    }
    /// For tests.
    std::size_t Num() const { return elements_.size(); }

private:
    std::vector<TSharedPtr<FElement>> elements_;
};
