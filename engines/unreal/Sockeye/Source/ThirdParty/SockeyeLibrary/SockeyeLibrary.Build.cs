// The Sockeye library as the engine's build sees it: a header and a binary for each platform, which
// `cargo xtask unreal --stage` puts into include/ and lib/. Nothing is compiled here.

using System.IO;
using UnrealBuildTool;

public class SockeyeLibrary : ModuleRules
{
	public SockeyeLibrary(ReadOnlyTargetRules Target) : base(Target)
	{
		Type = ModuleType.External;

		string Library = Path.Combine(ModuleDirectory, "lib", Target.Platform.ToString());
		if (Target.Platform == UnrealTargetPlatform.Win64)
		{
			// Cargo calls the import library so; sockeye.lib would be the static one.
			PublicAdditionalLibraries.Add(Required(Path.Combine(Library, "sockeye.dll.lib")));
			// Loaded by the runtime module, from where the next line puts it.
			PublicDelayLoadDLLs.Add("sockeye.dll");
			RuntimeDependencies.Add(
				"$(PluginDir)/Binaries/ThirdParty/SockeyeLibrary/Win64/sockeye.dll",
				Required(Path.Combine(Library, "sockeye.dll")));
			PublicDefinitions.Add("WITH_SOCKEYE_DLL=1");
		}
		else if (Target.Platform == UnrealTargetPlatform.Linux)
		{
			// Static: a shared library would bring the C library's versions of where it was built,
			// and the engine links against an older one.
			PublicAdditionalLibraries.Add(Required(Path.Combine(Library, "libsockeye.a")));
			PublicSystemLibraries.AddRange(new string[] { "util", "rt", "pthread", "m", "dl" });
			PublicDefinitions.Add("WITH_SOCKEYE_DLL=0");
		}
		else
		{
			throw new BuildException(
				"Sockeye has no library for " + Target.Platform +
				": take the platform out of PlatformAllowList in Sockeye.uplugin, or disable the plugin.");
		}

		string Include = Path.Combine(ModuleDirectory, "include");
		Required(Path.Combine(Include, "sockeye.h"));
		PublicSystemIncludePaths.Add(Include);
	}

	// The path, of a file that is there.
	private string Required(string File)
	{
		if (!System.IO.File.Exists(File))
		{
			throw new BuildException(
				"Sockeye's library is not in the plugin: " + File + " is missing. " +
				"In a checkout of Sockeye, on " + Target.Platform + ", this makes a plugin that has it: " +
				"cargo xtask unreal --stage <your project>/Plugins");
		}
		return File;
	}
}
