// What a fragment of the plugin's pages may take for granted: an actor, in the engine's stand-ins.
#include "SockeyeSubsystem.h"

DEFINE_LOG_CATEGORY_STATIC(LogTemp, Log, All);

class AMyActor : public UObject {
public:
    UGameInstance *GetGameInstance();
    void HandleMessage(FSockeyeConnection Connection, const TArray<uint8> &Data);
    int Fragment();
};
