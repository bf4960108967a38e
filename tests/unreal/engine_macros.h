/* Names that the engine has as macros before it includes anybody's header. None may matter to
   sockeye.h or to the pump: each breaks whatever uses it. */
#ifndef SOCKEYE_TESTS_ENGINE_MACROS_H
#define SOCKEYE_TESTS_ENGINE_MACROS_H

#define check(expression) check is a macro of the engine
#define checkf(expression, ...) checkf is a macro of the engine
#define verify(expression) verify is a macro of the engine
#define ensure(expression) ensure is a macro of the engine
#define TEXT(text) TEXT is a macro of the engine
#define PI PI is a macro of the engine
#define INDEX_NONE INDEX_NONE is a macro of the engine
#define FORCEINLINE FORCEINLINE is a macro of the engine
#define DLLIMPORT DLLIMPORT is a macro of the engine
#define DLLEXPORT DLLEXPORT is a macro of the engine
#define LIKELY(expression) LIKELY is a macro of the engine
#define UNLIKELY(expression) UNLIKELY is a macro of the engine
#define UE_LOG(...) UE_LOG is a macro of the engine
#define THIRD_PARTY_INCLUDES_START
#define THIRD_PARTY_INCLUDES_END

#endif
