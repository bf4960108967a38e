#pragma once

#include "CoreMinimal.h"
#include "Modules/ModuleManager.h"

#include "SockeyePump.h"

/**
 * Has the library: loads it where it is a DLL, looks whether it fits, and lets go of it when every
 * net has ended. For the game thread.
 */
class FSockeyeModule final : public IModuleInterface
{
public:
	virtual void StartupModule() override;
	virtual void ShutdownModule() override;
	/** Threads of the library run code of this module: it cannot be swapped under them. */
	virtual bool SupportsDynamicReloading() override { return false; }

	/** Null before it is loaded and after it is gone. */
	static FSockeyeModule* Get();

	/** Whether the library may be called. Before, a call would have the DLL searched, and crash. */
	bool IsReady() const { return bIsReady; }
	/** Why it may not. */
	const FString& GetProblem() const { return Problem; }

	/** Every pump with a net, to be ended before the library goes. */
	FSockeyePumps Pumps;

private:
	bool FindLibrary();

	void* Library = nullptr;
	bool bIsReady = false;
	FString Problem = TEXT("the module has not started");
};
