using UnrealBuildTool;

public class SockeyeExample : ModuleRules
{
	public SockeyeExample(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		PublicDependencyModuleNames.AddRange(
			new string[] { "Core", "CoreUObject", "Engine", "SockeyeRuntime" });
	}
}
