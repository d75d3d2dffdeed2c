package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// The release build sets these through the linker; nothing assigns them later.
var (
	version = ""
	commit  = ""
	date    = ""
)

// build is what the binary knows about itself.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// thisBuild takes what the linker set, else what the go command recorded.
func thisBuild() build {
	b := build{Version: version, Commit: commit, Date: date, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok || b.Version != "" {
		return b.named()
	}
	if v := info.Main.Version; v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		}
	}
	return b.named()
}

func (b build) named() build {
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

func (b build) String() string {
	s := "pubsubctl " + b.Version
	if b.Commit != "" {
		s += fmt.Sprintf(" (%.12s, %s)", b.Commit, b.Date)
	}
	return fmt.Sprintf("%s %s %s/%s", s, b.Go, b.OS, b.Arch)
}

// userAgent is how requests name this program.
func userAgent() string { return "pubsubctl/" + thisBuild().Version }

func newVersion(d deps) *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version",
		Long:              "Print the version of pubsubctl, what it was built from and with what.",
		Example:           "  pubsubctl version\n  pubsubctl version --json\n  pubsubctl version --jq .version",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("help output", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			if d.flags.json {
				return d.output().Write(c.Context(), thisBuild())
			}
			_, err := fmt.Fprintln(d.io.Out, thisBuild())
			return err
		},
	}
}
