// A game instance with its subsystems, and how the engine makes and ends them.
#pragma once

#include "StubObjects.h"

class UGameInstance;
class USubsystem;

class FSubsystemCollectionBase {
public:
    explicit FSubsystemCollectionBase(UGameInstance &of) : of_(of) {}
    USubsystem *InitializeDependency(UClass *type);

private:
    UGameInstance &of_;
};

class USubsystem : public UObject {
public:
    virtual bool ShouldCreateSubsystem(UObject *) const { return true; }
    virtual void Initialize(FSubsystemCollectionBase &) {}
    virtual void Deinitialize() {}
};

class UGameInstanceSubsystem : public USubsystem {
public:
    using Super = UGameInstanceSubsystem; // as the classes that derive from it would have it
    UGameInstance *GetGameInstance() const { return StubInstance; }
    UGameInstance *StubInstance = nullptr;
};

class UGameInstance : public UObject {
public:
    /// Tests say which subsystems there are, before Init.
    template <class T> void StubRegister()
    {
        all_.push_back({T::StaticClass(), std::make_unique<T>(), false});
        all_.back().Object->StubInstance = this;
    }
    void Init()
    {
        for (std::size_t i = 0; i < all_.size(); i++)
            if (all_[i].Object->ShouldCreateSubsystem(this)) Start(i);
    }
    void Shutdown()
    {
        for (auto each = all_.rbegin(); each != all_.rend(); ++each)
            if (each->bStarted) each->Object->Deinitialize();
        for (FEach &each : all_) each.bStarted = false;
    }
    template <class T> T *GetSubsystem() const
    {
        for (const FEach &each : all_)
            if (each.Type == T::StaticClass() && each.bStarted)
                return static_cast<T *>(each.Object.get());
        return nullptr;
    }

private:
    friend class FSubsystemCollectionBase;

    struct FEach {
        UClass *Type;
        std::unique_ptr<UGameInstanceSubsystem> Object;
        bool bStarted;
    };
    void Start(std::size_t at)
    {
        if (all_[at].bStarted) return;
        all_[at].bStarted = true;
        FSubsystemCollectionBase collection(*this);
        all_[at].Object->Initialize(collection);
    }

    std::vector<FEach> all_;
};

inline USubsystem *FSubsystemCollectionBase::InitializeDependency(UClass *type)
{
    for (std::size_t i = 0; i < of_.all_.size(); i++) {
        if (of_.all_[i].Type != type) continue;
        of_.Start(i);
        return of_.all_[i].Object.get();
    }
    return nullptr;
}
