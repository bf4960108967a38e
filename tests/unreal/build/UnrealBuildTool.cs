// Stand-ins for what the plugin's Build.cs files use of the engine's build tool.

using System;
using System.Collections.Generic;

namespace UnrealBuildTool
{
	public class BuildException : Exception
	{
		public BuildException(string Message) : base(Message)
		{
		}
	}

	public struct UnrealTargetPlatform
	{
		public static readonly UnrealTargetPlatform Win64 = new UnrealTargetPlatform("Win64");
		public static readonly UnrealTargetPlatform Linux = new UnrealTargetPlatform("Linux");

		private readonly string Name;

		public UnrealTargetPlatform(string Name)
		{
			this.Name = Name;
		}
		public override string ToString()
		{
			return Name;
		}
		public override bool Equals(object Other)
		{
			return Other is UnrealTargetPlatform && ((UnrealTargetPlatform)Other).Name == Name;
		}
		public override int GetHashCode()
		{
			return Name.GetHashCode();
		}
		public static bool operator ==(UnrealTargetPlatform A, UnrealTargetPlatform B)
		{
			return A.Equals(B);
		}
		public static bool operator !=(UnrealTargetPlatform A, UnrealTargetPlatform B)
		{
			return !A.Equals(B);
		}
	}

	public class ReadOnlyTargetRules
	{
		public UnrealTargetPlatform Platform;
	}

	public class RuntimeDependencyList
	{
		public readonly List<string> Said = new List<string>();

		public void Add(string Path)
		{
			Said.Add(Path);
		}
		public void Add(string Path, string SourcePath)
		{
			Said.Add(Path + "\t" + SourcePath);
		}
	}

	public class ModuleRules
	{
		public enum ModuleType
		{
			CPlusPlus,
			External,
		}
		public enum PCHUsageMode
		{
			Default,
			UseExplicitOrSharedPCHs,
		}

		// Set before a module's rules are made.
		public static string StubDirectory;

		public ModuleType Type = ModuleType.CPlusPlus;
		public PCHUsageMode PCHUsage = PCHUsageMode.Default;
		public readonly List<string> PublicDependencyModuleNames = new List<string>();
		public readonly List<string> PrivateDependencyModuleNames = new List<string>();
		public readonly List<string> PublicSystemIncludePaths = new List<string>();
		public readonly List<string> PublicAdditionalLibraries = new List<string>();
		public readonly List<string> PublicSystemLibraries = new List<string>();
		public readonly List<string> PublicDelayLoadDLLs = new List<string>();
		public readonly List<string> PublicDefinitions = new List<string>();
		public readonly RuntimeDependencyList RuntimeDependencies = new RuntimeDependencyList();
		public readonly ReadOnlyTargetRules Target;

		public ModuleRules(ReadOnlyTargetRules Target)
		{
			this.Target = Target;
		}
		protected string ModuleDirectory
		{
			get { return StubDirectory; }
		}
	}
}
