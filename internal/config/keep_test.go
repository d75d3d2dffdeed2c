package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestKeepPrefersTheKeyring(t *testing.T) {
	kept := map[string]string{}
	ring := func(service, account, value string) error { kept[service+"/"+account] = value; return nil }
	dir := t.TempDir()
	ref, ringless, err := Keep(ring, dir, "chat/ab12", "s3cret")
	if err != nil || ringless != nil || ref.String() != "keyring:pubsubctl/chat/ab12" {
		t.Fatalf("%v, %v, %v", ref, ringless, err)
	}
	found, err := ref.Resolve(t.Context(), Lookup{Keyring: func(service, account string) (string, error) { return kept[service+"/"+account], nil }})
	if err != nil || found.Reveal() != "s3cret" {
		t.Errorf("%q, %v", found.Reveal(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files: %v", left)
	}
}

func TestKeepFallsBackToAPrivateFile(t *testing.T) {
	down := errors.New("no bus")
	dir := filepath.Join(t.TempDir(), "secrets")
	for _, value := range []string{"first", "second"} { // the second replaces the first
		ref, ringless, err := Keep(func(string, string, string) error { return down }, dir, "chat/ab12", value)
		if err != nil || !errors.Is(ringless, down) {
			t.Fatalf("%v, %v", ringless, err)
		}
		found, err := ref.Resolve(t.Context(), Lookup{})
		if err != nil || found.Reveal() != value {
			t.Errorf("%q, %v", found.Reveal(), err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "chat-ab12")} {
		info, err := os.Stat(path)
		if err != nil || Exposed(info.Mode()) {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestKeepNamesTheFileItCannotWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Keep(nil, dir, "chat/ab12", "s3cret")
	var e *Error
	if !errors.As(err, &e) || e.File != filepath.Join(dir, "chat-ab12") {
		t.Errorf("%v", err)
	}
}
