#pragma once

#include "StubContainers.h"
#include "StubText.h"

class IPlugin {
public:
    FString GetBaseDir() const { return StubBase(); }
    /// Set by tests.
    static FString &StubBase()
    {
        static FString folder;
        return folder;
    }
};

class IPluginManager {
public:
    static IPluginManager &Get()
    {
        static IPluginManager manager;
        return manager;
    }
    TSharedPtr<IPlugin> FindPlugin(const FString &name)
    {
        const bool is_there = name == TEXT("Sockeye") && !IPlugin::StubBase().IsEmpty();
        return is_there ? MakeShared<IPlugin>() : TSharedPtr<IPlugin>();
    }
};
