#pragma once

#include "Engine/GameInstance.h"
