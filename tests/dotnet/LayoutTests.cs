// The C# declarations against a table that a C program has written from sockeye.h: names, sizes and
// offsets of all structs, all numbers, and the signatures of all functions, the host's too; neither
// side has more.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Sockeye;

public static class LayoutTests
{
    public static void TheTable(string path)
    {
        var expected = new SortedSet<string>(File.ReadAllLines(path));
        var actual = new SortedSet<string>(Structs().Concat(Enums()).Concat(Constants())
            .Concat(Externs().Select(Function)).Concat(Callbacks()));
        string missing = string.Join("; ", expected.Except(actual).ToArray());
        string surplus = string.Join("; ", actual.Except(expected).ToArray());
        Check.Equal("", missing, "what sockeye.h has and C# has not");
        Check.Equal("", surplus, "what C# has and sockeye.h has not");
        string[] kinds = { "struct", "field", "value", "constant", "function", "callback" };
        foreach (string kind in kinds)
            Check.Equal(true, expected.Any(line => line.StartsWith(kind + " ")), kind);
    }

    /// <summary>Each is found in the library, under the name that it is declared with.</summary>
    public static void EveryFunctionIsThere()
    {
        foreach (MethodInfo method in Externs()) Marshal.Prelink(method);
    }

    public static void TheLibraryAgrees()
    {
        SockeyeLayout.Check();
        Check.Equal("0.1.0", SockeyeText.Version, "the version");
    }

    private static IEnumerable<Type> Types()
    {
        return typeof(Native).Assembly.GetTypes().Where(
            type => type.Namespace == "Sockeye" && type.IsPublic && type.IsValueType);
    }

    private static bool IsStruct(Type type)
    {
        return !type.IsEnum && type != typeof(SockeyeEventRef);
    }

    /// <summary>SockeyeConnInfo is sockeye_conn_info.</summary>
    private static string Snake(string name)
    {
        var text = new StringBuilder();
        foreach (char letter in name)
        {
            if (char.IsUpper(letter) && text.Length > 0) text.Append('_');
            text.Append(char.ToLowerInvariant(letter));
        }
        return text.ToString();
    }

    private static IEnumerable<string> Structs()
    {
        foreach (Type type in Types().Where(IsStruct))
        {
            string name = Snake(type.Name);
            yield return "struct " + name + " " + Marshal.SizeOf(type);
            FieldInfo[] fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public
                | BindingFlags.NonPublic);
            foreach (FieldInfo field in fields)
                yield return "field " + name + "." + Snake(field.Name) + " "
                    + Marshal.OffsetOf(type, field.Name) + " " + SizeOf(field);
        }
    }

    private static int SizeOf(FieldInfo field)
    {
        object[] several = field.GetCustomAttributes(typeof(FixedBufferAttribute), false);
        if (several.Length > 0)
        {
            var buffer = (FixedBufferAttribute)several[0];
            return Marshal.SizeOf(buffer.ElementType) * buffer.Length;
        }
        Type type = field.FieldType;
        if (type.IsPointer) return IntPtr.Size;
        return Marshal.SizeOf(type.IsEnum ? Enum.GetUnderlyingType(type) : type);
    }

    private static IEnumerable<string> Enums()
    {
        foreach (Type type in Types().Where(type => type.IsEnum))
        {
            string name = type == typeof(SockeyeStatus) ? "sockeye_status_code" : Snake(type.Name);
            foreach (object value in Enum.GetValues(type))
                yield return "value " + name + "." + Snake(value.ToString()) + " "
                    + Convert.ToInt64(value);
        }
    }

    private static IEnumerable<string> Constants()
    {
        FieldInfo[] all = typeof(Native).GetFields(BindingFlags.Static | BindingFlags.Public);
        return all.Where(field => field.IsLiteral).Select(field =>
            "constant " + Snake(field.Name) + " " + Convert.ToInt64(field.GetRawConstantValue()));
    }

    private static IEnumerable<MethodInfo> Externs()
    {
        return typeof(Native).GetMethods(BindingFlags.Static | BindingFlags.Public)
            .Where(method => (method.Attributes & MethodAttributes.PinvokeImpl) != 0);
    }

    private static string Function(MethodInfo method)
    {
        return "function " + Signature(method, method.Name);
    }

    private static IEnumerable<string> Callbacks()
    {
        IEnumerable<Type> all = typeof(Native).Assembly.GetTypes().Where(type =>
            type.IsDefined(typeof(UnmanagedFunctionPointerAttribute), false));
        return all.Select(type => "callback " + Signature(type.GetMethod("Invoke"), type.Name));
    }

    private static string Signature(MethodInfo method, string name)
    {
        IEnumerable<string> taken = method.GetParameters().Select(each => Word(each.ParameterType));
        return Word(method.ReturnType) + " " + name + "(" + string.Join(",", taken.ToArray()) + ")";
    }

    private static string Word(Type type)
    {
        return type == typeof(SockeyeNetHandle) ? "IntPtr" : type.Name;
    }
}
