#include "SockeyeModule.h"

#include "HAL/PlatformProcess.h"
#include "Interfaces/IPluginManager.h"
#include "Misc/Paths.h"

#include "SockeyeLog.h"
#include "SockeyeWords.h"

IMPLEMENT_MODULE(FSockeyeModule, SockeyeRuntime)

FSockeyeModule* FSockeyeModule::Get()
{
	return FModuleManager::GetModulePtr<FSockeyeModule>(TEXT("SockeyeRuntime"));
}

void FSockeyeModule::StartupModule()
{
	if (FindLibrary())
	{
		const std::string Misfit = SockeyeMisfit(sockeye_version(), sockeye_abi_version());
		Problem = UTF8_TO_TCHAR(Misfit.c_str());
		bIsReady = Misfit.empty();
	}
	if (bIsReady)
	{
		UE_LOG(LogSockeye, Log, TEXT("Sockeye %s is ready"), UTF8_TO_TCHAR(sockeye_version()));
	}
	else
	{
		UE_LOG(LogSockeye, Error, TEXT("Sockeye cannot be used: %s"), *Problem);
	}
}

void FSockeyeModule::ShutdownModule()
{
	// The threads of a net run code of the library: they end first.
	Pumps.ShutDown();
	bIsReady = false;
	Problem = TEXT("the module has been shut down");
	if (Library)
	{
		FPlatformProcess::FreeDllHandle(Library);
		Library = nullptr;
	}
}

#if WITH_SOCKEYE_DLL

bool FSockeyeModule::FindLibrary()
{
	// Where SockeyeLibrary.Build.cs puts it. By its full path: by name alone the system would search
	// folders of its own, and perhaps find another.
	const TSharedPtr<IPlugin> Plugin = IPluginManager::Get().FindPlugin(TEXT("Sockeye"));
	if (!Plugin.IsValid())
	{
		Problem = TEXT("the plugin Sockeye is not enabled");
		return false;
	}
	const FString Path = FPaths::ConvertRelativePathToFull(FPaths::Combine(Plugin->GetBaseDir(),
		TEXT("Binaries/ThirdParty/SockeyeLibrary/Win64/sockeye.dll")));
	Library = FPlatformProcess::GetDllHandle(*Path);
	if (!Library)
	{
		Problem = FString::Printf(TEXT("%s is missing, or cannot be loaded"), *Path);
	}
	return Library != nullptr;
}

#else

bool FSockeyeModule::FindLibrary()
{
	return true; // linked
}

#endif
