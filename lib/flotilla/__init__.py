"""flotilla: releases families of npm packages that carry prebuilt native binaries."""
