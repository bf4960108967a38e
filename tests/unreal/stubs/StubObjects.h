// Objects, what the header tool would make of them, and delegates.
#pragma once

#include "StubContainers.h"
#include "StubText.h"

#include <functional>

#define UCLASS(...)
#define USTRUCT(...)
#define UENUM(...)
#define UFUNCTION(...)
#define UPROPERTY(...)
#define UMETA(...)
#define GENERATED_BODY()                                                                          \
public:                                                                                           \
    static UClass *StaticClass()                                                                  \
    {                                                                                             \
        static UClass made;                                                                       \
        return &made;                                                                             \
    }

/// Its address tells classes apart.
struct UClass {
    char Nothing = 0;
};

class UObject {
public:
    UObject() = default;
    UObject(const UObject &) = delete;
    UObject &operator=(const UObject &) = delete;
    virtual ~UObject() = default;
};

template <class T> class TObjectPtr {
public:
    TObjectPtr(T *to = nullptr) : to_(to) {}
    T *operator->() const
    {
        check(to_);
        return to_;
    }
    explicit operator bool() const { return to_ != nullptr; }

private:
    T *to_;
};

class FDelegateHandle {
public:
    bool IsValid() const { return Number != 0; }
    void Reset() { Number = 0; }
    uint64 Number = 0;
};

/// Calls those who are bound when it begins and still are when it is their turn.
template <class... A> class TStubMulticast {
public:
    bool IsBound() const { return !bound_.empty(); }
    void Broadcast(A... arguments) const
    {
        const std::vector<FBound> all = bound_;
        for (const FBound &each : all)
            if (Has(each.Number)) each.Call(arguments...);
    }
    void RemoveAll(const UObject *of)
    { Keep([of](const FBound &each) { return each.Of != of; }); }

protected:
    struct FBound {
        uint64 Number;
        const UObject *Of;
        std::function<void(A...)> Call;
    };
    template <class T, class F> uint64 Bind(T *of, F method)
    {
        static_assert(std::is_base_of<UObject, T>::value, "only objects are bound");
        check(of);
        bound_.push_back({++last_, of, [of, method](A... arguments) {
            (of->*method)(arguments...);
        }});
        return last_;
    }
    template <class P> void Keep(P predicate)
    {
        std::vector<FBound> kept;
        for (const FBound &each : bound_)
            if (predicate(each)) kept.push_back(each);
        bound_.swap(kept);
    }

private:
    bool Has(uint64 number) const
    {
        for (const FBound &each : bound_)
            if (each.Number == number) return true;
        return false;
    }

    std::vector<FBound> bound_;
    uint64 last_ = 0;
};

template <class... A> class TStubDynamic : public TStubMulticast<A...> {
public:
    template <class T> void AddDynamic(T *of, void (T::*method)(A...)) { this->Bind(of, method); }
};

template <class... A> class TStubNative : public TStubMulticast<A...> {
public:
    template <class T> FDelegateHandle AddUObject(T *of, void (T::*method)(A...))
    {
        FDelegateHandle made;
        made.Number = this->Bind(of, method);
        return made;
    }
    void Remove(FDelegateHandle handle)
    { this->Keep([handle](const auto &each) { return each.Number != handle.Number; }); }
};

#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(Name, T1, N1)                                 \
    class Name : public TStubDynamic<T1> {}
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(Name, T1, N1, T2, N2)                        \
    class Name : public TStubDynamic<T1, T2> {}
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_ThreeParams(Name, T1, N1, T2, N2, T3, N3)              \
    class Name : public TStubDynamic<T1, T2, T3> {}
#define DECLARE_MULTICAST_DELEGATE_TwoParams(Name, T1, T2) using Name = TStubNative<T1, T2>
