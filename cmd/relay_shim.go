package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// shimMark is in every launcher script, so that one can be told from a program
// of another's.
const shimMark = "# written by pubsubctl relay shim"

func newRelayShim(d deps) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "shim DIR",
		Short: "Write a pushpin launcher for fastly compute serve",
		Long: "shim writes a launcher named pushpin into DIR. The Fastly CLI starts it where it\n" +
			"would start Pushpin: the relay then serves what an application hands off to\n" +
			"Fanout, on Pushpin's ports. stdout is what fastly.toml needs to find it:\n\n" +
			"  pubsubctl relay shim .fanout >> fastly.toml\n\n" +
			"The launcher starts this very program, by its path; when that has moved, write\n" +
			"it again.",
		Example: "  pubsubctl relay shim .fanout\n" +
			"  pubsubctl relay shim .fanout --force --json",
		Args: argsExact("a directory"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		Annotations: notes("relay, grip publish, help relay", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return ui.Problemf(ui.FilesystemRead, "cannot find this program's own path").Because(innermost(err)).From(err)
			}
			return writeShim(c, d, shim{dir: d.path(args[0]), self: self, windows: runtime.GOOS == "windows", force: force})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace a pushpin that is already there")
	return c
}

// shim is a launcher to write.
type shim struct {
	dir, self      string
	windows, force bool
}

func (s shim) path() string {
	if s.windows {
		return filepath.Join(s.dir, pushpinName+".exe")
	}
	return filepath.Join(s.dir, pushpinName)
}

// shimJSON is what --json prints.
type shimJSON struct {
	Type       string `json:"type"`
	Path       string `json:"path"`
	FastlyTOML string `json:"fastly_toml"`
}

func writeShim(c *cobra.Command, d deps, s shim) error {
	if strings.Contains(filepath.ToSlash(s.self), "/go-build") {
		d.io.Warn("this program was built by go run and will be gone soon, and the launcher with it; go install keeps it")
	}
	path, err := s.write()
	if err != nil {
		return err
	}
	lines := fastlyTOML(path)
	if d.io.JSON {
		return d.output().Write(c.Context(), shimJSON{"shim", path, lines})
	}
	d.io.Note("wrote %s; fastly.toml needs the lines that follow", path)
	if d.pushpinTable() {
		d.io.Warn("fastly.toml here has [local_server.pushpin] already: set pushpin_path in it, a second one is an error")
	}
	_, err = io.WriteString(d.io.Out, lines)
	return err
}

// write makes the launcher and returns its path.
func (s shim) write() (string, error) {
	path, err := filepath.Abs(s.path())
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return "", ui.Problemf(ui.FilesystemWrite, "cannot make "+s.dir).Because(innermost(err)).From(err)
	}
	if !s.force && !s.replaceable(path) {
		return "", ui.Problemf(ui.FilesystemWrite, path+" is there already, and not of our making").
			Because("it may be Pushpin itself").Try("pubsubctl relay shim --force " + pasteWord(s.dir))
	}
	if err := s.put(path); err != nil {
		return "", ui.Problemf(ui.FilesystemWrite, "cannot write "+path).Because(innermost(err)).From(err)
	}
	return path, nil
}

// replaceable reports whether nothing is at path, or a launcher of ours.
func (s shim) replaceable(path string) bool {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true
	case err != nil || !info.Mode().IsRegular():
		return false
	case s.windows:
		ours, err := os.Stat(s.self)
		return err == nil && os.SameFile(info, ours)
	case info.Size() > 64<<10:
		return false
	}
	text, err := os.ReadFile(path)
	return err == nil && bytes.Contains(text, []byte(shimMark))
}

// put writes the launcher beside its place and moves it there, so that a program
// that runs, or is about to, is never half a file.
func (s shim) put(path string) error {
	dir, err := os.MkdirTemp(s.dir, ".shim-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is empty, or the error is on its way
	fresh := filepath.Join(dir, filepath.Base(path))
	if s.windows {
		err = linkOrCopy(s.self, fresh)
	} else if err = os.WriteFile(fresh, []byte(shimScript(s.self)), 0o755); err == nil {
		err = os.Chmod(fresh, 0o755) // whatever the umask
	}
	if err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// shimScript starts self in Pushpin's place. exec keeps the process that was
// started, so that who ends it ends the relay.
func shimScript(self string) string {
	return "#!/bin/sh\n" + shimMark + "\nexec '" + strings.ReplaceAll(self, "'", `'\''`) + "' relay " + pushpinName + " \"$@\"\n"
}

// linkOrCopy is for systems that start no scripts: the program goes by the name
// it is found under. A link does not reach another volume.
func linkOrCopy(self, to string) error {
	if os.Link(self, to) == nil {
		return nil
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// maxManifest bounds what is read of fastly.toml.
const maxManifest = 1 << 20

// pushpinTable reports whether the manifest in the working directory has the
// table that would be added. A manifest that cannot be read is not ours to judge.
func (d deps) pushpinTable() bool {
	f, err := os.Open(filepath.Join(d.dir, "fastly.toml"))
	if err != nil {
		return false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	return err == nil && pushpinHeader.Match(text)
}

// pushpinHeader is read only.
var pushpinHeader = regexp.MustCompile(`(?m)^\s*\[\s*local_server\s*\.\s*pushpin\s*\]`)

// fastlyTOML is what the Fastly CLI reads. The path is absolute, because the CLI
// may be started in another directory.
func fastlyTOML(path string) string {
	quoted, err := json.Marshal(path) // its escapes are also TOML's
	if err != nil {
		quoted = []byte(`"` + pushpinName + `"`) // not for a string
	}
	return fmt.Sprintf("\n[local_server.pushpin]\n  enable = true\n  pushpin_path = %s\n", quoted)
}
