package config

import "github.com/BurntSushi/toml"

// Manifest is what matters here of the fastly.toml of a program.
type Manifest struct {
	Name      string `toml:"name"`
	Language  string `toml:"language"`
	Version   any    `toml:"manifest_version"`
	ServiceID string `toml:"service_id"`
}

// ParseManifest reads a fastly.toml. The file belongs to another program, so
// what else it holds is passed over.
func ParseManifest(text []byte) (Manifest, error) {
	var m Manifest
	_, err := toml.Decode(string(text), &m)
	return m, err
}
