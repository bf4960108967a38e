// An echo server: each message goes back to where it came from, until the input ends (Ctrl-D).
// mcs -unsafe -out:echo.exe Echo.cs ../engines/dotnet/*.cs &&
// mono echo.exe 'tcp://[::]:7777?frame=u32be'
using System;
using System.Threading.Tasks;
using Sockeye;

static class Echo
{
    static int Main(string[] args)
    {
        try
        {
            using (var server = new SockeyeServer(args.Length > 0 ? args[0] : ""))
            {
                server.Message += e =>
                {
                    if (server.Send(e.Conn, e) < 0)
                        server.Close(e.Conn, SockeyeCloseHow.Reset); // it sends and does not read
                };
                server.Closed += e => Console.WriteLine("closed: " + e.CauseText);
                Console.WriteLine("port " + server.Port);
                Task input = Task.Run(() => { Console.In.ReadToEnd(); server.Post(0); });
                while (!input.IsCompleted) server.Tick(waitMs: 100);
                server.Shutdown(2000);
                while (server.State >= 0) server.Tick(); // tells what is left
            }
            return 0;
        }
        catch (SockeyeException why)
        {
            Console.Error.WriteLine("echo: " + why.Message);
            return 1;
        }
    }
}
