using UnrealBuildTool;

// Not called Sockeye: the engine would define SOCKEYE_API for it, which sockeye.h has for itself.
public class SockeyeRuntime : ModuleRules
{
	public SockeyeRuntime(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		PublicDependencyModuleNames.AddRange(new string[] { "Core", "CoreUObject", "Engine" });
		// Private: a second module that linked the static library would have a second copy of it.
		PrivateDependencyModuleNames.AddRange(new string[] { "Projects", "SockeyeLibrary" });
	}
}
