package config

import "path/filepath"

// StateDir is where programs keep what is neither configuration nor cache:
// pubsubctl below XDG_STATE_HOME or ~/.local/state, beside the contexts file on
// macOS, below LocalAppData on Windows. It is empty if the environment names no
// such directory.
func StateDir(goos string, env func(string) string) string {
	dir, home := env("XDG_STATE_HOME"), env("HOME")
	switch {
	case goos == "windows":
		dir = env("LocalAppData")
		if dir == "" {
			dir = env("LOCALAPPDATA")
		}
		if dir == "" {
			return sibling(goos, env)
		}
	case dir != "" && filepath.IsAbs(dir):
	case goos == "darwin":
		return sibling(goos, env)
	case home == "":
		return ""
	default:
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "pubsubctl")
}

// sibling is a directory beside the contexts file.
func sibling(goos string, env func(string) string) string {
	path := DefaultPath(goos, env)
	if path == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(path), "state")
}
