// Makes the rules of one module, as the build tool would, and says what they came to:
//
//     Rules <module> <its folder> <platform>
//
// A line for each entry, "<list>\t<entry>". Ends with 2, and the words, if the rules refuse.

using System;
using System.Collections.Generic;
using UnrealBuildTool;

public static class Rules
{
	public static int Main(string[] Arguments)
	{
		ReadOnlyTargetRules Target = new ReadOnlyTargetRules();
		Target.Platform = new UnrealTargetPlatform(Arguments[2]);
		ModuleRules.StubDirectory = Arguments[1];
		ModuleRules Made;
		try
		{
			Type Class = typeof(Rules).Assembly.GetType(Arguments[0], true);
			Made = (ModuleRules)Activator.CreateInstance(Class, Target);
		}
		catch (System.Reflection.TargetInvocationException Wrapped)
		{
			if (!(Wrapped.InnerException is BuildException))
			{
				throw;
			}
			Console.WriteLine(Wrapped.InnerException.Message);
			return 2;
		}
		Console.WriteLine("Type\t" + Made.Type);
		Say("PublicDependencyModuleNames", Made.PublicDependencyModuleNames);
		Say("PrivateDependencyModuleNames", Made.PrivateDependencyModuleNames);
		Say("PublicSystemIncludePaths", Made.PublicSystemIncludePaths);
		Say("PublicAdditionalLibraries", Made.PublicAdditionalLibraries);
		Say("PublicSystemLibraries", Made.PublicSystemLibraries);
		Say("PublicDelayLoadDLLs", Made.PublicDelayLoadDLLs);
		Say("PublicDefinitions", Made.PublicDefinitions);
		Say("RuntimeDependencies", Made.RuntimeDependencies.Said);
		return 0;
	}

	private static void Say(string List, List<string> Entries)
	{
		foreach (string Entry in Entries)
		{
			Console.WriteLine(List + "\t" + Entry);
		}
	}
}
