#pragma once

#include "StubObjects.h"

class IModuleInterface {
public:
    virtual ~IModuleInterface() = default;
    virtual void StartupModule() {}
    virtual void ShutdownModule() {}
    virtual bool SupportsDynamicReloading() { return true; }
};

class FDefaultModuleImpl : public IModuleInterface {};

class FModuleManager {
public:
    template <class T> static T *GetModulePtr(const FName name)
    {
        FStubModule *found = Find(name);
        return found ? static_cast<T *>(found->Object.get()) : nullptr;
    }

    struct FStubModule {
        FName Name;
        std::function<std::unique_ptr<IModuleInterface>()> Make;
        std::unique_ptr<IModuleInterface> Object;
    };
    static std::vector<FStubModule> &StubAll()
    {
        static std::vector<FStubModule> all;
        return all;
    }
    /// Tests start and end modules as the engine does.
    static IModuleInterface *StubStart(const FName name)
    {
        FStubModule *found = Find(name);
        check(found && !found->Object);
        found->Object = found->Make();
        found->Object->StartupModule();
        return found->Object.get();
    }
    static void StubEnd(const FName name)
    {
        FStubModule *found = Find(name);
        check(found && found->Object);
        found->Object->ShutdownModule();
        found->Object.reset();
    }

private:
    static FStubModule *Find(const FName &name)
    {
        for (FStubModule &each : StubAll())
            if (each.Name == name) return &each;
        return nullptr;
    }
};

#define IMPLEMENT_MODULE(Class, Module)                                                           \
    static const bool StubHas##Module = [] {                                                      \
        FModuleManager::StubAll().push_back(                                                      \
            {TEXT(#Module), [] { return std::make_unique<Class>(); }, nullptr});                  \
        return true;                                                                              \
    }();
