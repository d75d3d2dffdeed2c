package config

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/BurntSushi/toml"
)

// fastlyCLIFile is what this package reads of the Fastly CLI's configuration. The
// program has had three forms of it; the newest that says something counts.
type fastlyCLIFile struct {
	Auth struct {
		Default string                   `toml:"default"`
		Tokens  map[string]fastlyCLIUser `toml:"tokens"`
	} `toml:"auth"`
	Profile map[string]fastlyCLIUser `toml:"profile"`
	User    fastlyCLIUser            `toml:"user"`
}

type fastlyCLIUser struct {
	Default bool   `toml:"default"`
	Token   string `toml:"token"`
}

// token is that of the user the Fastly CLI would act for, or nothing.
func (f fastlyCLIFile) token() string {
	if t := f.Auth.Tokens[f.Auth.Default].Token; t != "" {
		return t
	}
	for _, name := range slices.Sorted(maps.Keys(f.Profile)) {
		if p := f.Profile[name]; p.Default && p.Token != "" {
			return p.Token
		}
	}
	return f.User.Token
}

// fastlyCLIToken gives the API token of the Fastly CLI and the file it is in, or
// nothing. The file belongs to another program: whether it is valid is not our
// business. One that other users can read is not used.
func fastlyCLIToken(env func(string) string) (tok, path string) {
	for _, path := range fastlyCLIPaths(runtime.GOOS, env) {
		info, err := os.Stat(path)
		if err != nil || Exposed(info.Mode()) {
			continue
		}
		text, err := readBounded(path, maxFile)
		if err != nil || len(text) > maxFile {
			continue
		}
		var f fastlyCLIFile
		if _, err := toml.Decode(text, &f); err != nil {
			continue
		}
		if tok := f.token(); tok != "" {
			return tok, path
		}
	}
	return "", ""
}

// fastlyCLIPaths are where the Fastly CLI has its configuration, now and formerly.
func fastlyCLIPaths(goos string, env func(string) string) []string {
	var paths []string
	if ours := DefaultPath(goos, env); ours != "" {
		paths = append(paths, filepath.Join(filepath.Dir(filepath.Dir(ours)), "fastly", "config.toml"))
	}
	if home := env("HOME"); home != "" {
		paths = append(paths, filepath.Join(home, ".fastly", "config.toml"))
	}
	return paths
}
