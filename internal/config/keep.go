package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/zalando/go-keyring"
)

// KeepInKeyring puts a secret into the keyring of the operating system.
func KeepInKeyring(service, account, value string) error {
	return keyring.Set(service, account, value)
}

// Keep puts a secret where a context can refer to it: into the keyring, or, where
// there is none, into a file below dir that only its owner can read. name has the
// context and what the secret is, as "chat/ab12cd34". keep may be nil; ringless is
// why the file was needed.
func Keep(keep func(service, account, value string) error, dir, name, value string) (ref Ref, ringless, err error) {
	ringless = errNoLookup
	if keep != nil {
		if ringless = keep("pubsubctl", name, value); ringless == nil {
			return Ref{kind: Keyring, name: "pubsubctl/" + name}, nil, nil
		}
	}
	path := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
	if err := writeSecretFile(path, value); err != nil {
		return Ref{}, ringless, &Error{Reason: Unreadable, File: path, Text: "cannot be written", Err: err}
	}
	return Ref{kind: File, name: path}, ringless, nil
}

// writeSecretFile writes a file anew, so that nobody who had the old one open, or
// could read it, gets the secret.
func writeSecretFile(path, value string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make secret file: %w", err)
	}
	return writeAndClose(f, value+"\n")
}
