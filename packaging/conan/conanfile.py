"""Sockeye from the archives of its release: nothing is compiled here. Their addresses and checksums
are in conandata.yml, which `cargo xtask package` writes; SOCKEYE_ARCHIVES in the environment says
where they are, if not there."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, get

required_conan_version = ">=2.0"


class SockeyeConan(ConanFile):
    name = "sockeye"
    description = "A socket core for C and C++ hosts, with every I/O model behind one C ABI"
    license = "MIT OR Apache-2.0"
    homepage = "https://github.com/sockeye-net/sockeye"
    url = homepage
    topics = ("network", "socket", "epoll", "io-uring", "game-server")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": True}

    def _archive(self):
        return self.conan_data["sources"][self.version].get(str(self.settings.os))

    def validate(self):
        if self.settings.arch != "x86_64" or self._archive() is None:
            raise ConanInvalidConfiguration("Sockeye has archives for Linux and Windows on x86-64")
        if self.settings.compiler == "msvc" and not self.options.shared:
            raise ConanInvalidConfiguration("the static library for Windows is mingw's")

    def package_id(self):
        # What it speaks is C, and it is always optimised.
        del self.info.settings.compiler
        del self.info.settings.build_type

    def build(self):
        archive = self._archive()
        url = archive["url"]
        if "SOCKEYE_ARCHIVES" in os.environ:
            url = os.environ["SOCKEYE_ARCHIVES"] + "/" + url.rsplit("/", 1)[1]
        get(self, url, sha256=archive["sha256"], strip_root=True)

    def package(self):
        def take(pattern, folder, to=None):
            source = os.path.join(self.build_folder, folder)
            copy(self, pattern, source, os.path.join(self.package_folder, to or folder))

        take("*", "include")
        take("*", os.path.join("share", "doc", "sockeye"), "licenses")
        take("cmake/*", "lib")
        if self.options.shared:
            take("pkgconfig/sockeye.pc", "lib")
            take("libsockeye.so*", "lib")
            take("libsockeye.dll.a", "lib")
            take("sockeye.lib", "lib")
            take("sockeye.def", "lib")
            take("sockeye.dll", "bin")
        else:
            take("pkgconfig/sockeye-static.pc", "lib")
            take("libsockeye.a", "lib")

    def package_info(self):
        # CMake finds the files of the package itself: the targets are those of every other way.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "sockeye")]
        self.cpp_info.libs = ["sockeye"]
        if not self.options.shared:
            self.cpp_info.system_libs = self._archive()["natives"]
            if self.settings.os == "Windows":
                self.cpp_info.defines = ["SOCKEYE_STATIC"]
