package provision

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

// Builder makes a package of a checkout of the app.
type Builder struct {
	// Dir is the checkout.
	Dir string
	// Environ is the environment of the compiler. It should hold no API token:
	// building needs none, and runs code of many authors.
	Environ []string
	// Look finds a program; nil means exec.LookPath.
	Look func(name string) (string, error)
}

// buildTimeout bounds a build; the first one compiles every dependency.
const buildTimeout = 30 * time.Minute

// Build compiles the checkout with what is installed: the Fastly CLI, or else
// cargo. Errors are *PackageError.
func (b Builder) Build(ctx context.Context) (*Archive, error) {
	a, err := b.build(ctx)
	if err != nil {
		return nil, &PackageError{b.Dir, err}
	}
	return a, nil
}

func (b Builder) build(ctx context.Context) (*Archive, error) {
	text, err := os.ReadFile(filepath.Join(b.Dir, "fastly.toml"))
	if err != nil {
		if _, gone := os.Stat(b.Dir); gone != nil {
			return nil, gone
		}
		return nil, errors.New("there is no fastly.toml in it")
	}
	if m, err := config.ParseManifest(text); err != nil || m.Name != AppName {
		return nil, errors.New("its fastly.toml is not that of the app " + AppName)
	}
	look := b.Look
	if look == nil {
		look = exec.LookPath
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	if tool, err := look("fastly"); err == nil {
		return b.byFastly(ctx, tool)
	}
	if tool, err := look("cargo"); err == nil {
		return b.byCargo(ctx, tool, text)
	}
	return nil, errors.New("neither the Fastly CLI nor cargo is installed")
}

// run runs a tool in the checkout; what it says last is the error.
func (b Builder) run(ctx context.Context, tool string, args ...string) error {
	c := exec.CommandContext(ctx, tool, args...)
	c.Dir, c.Env, c.WaitDelay = b.Dir, b.Environ, time.Second
	out, err := c.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if last := lines[len(lines)-1]; len(last) > 0 {
		return errors.New(filepath.Base(tool) + " says: " + string(last[:min(len(last), 300)]))
	}
	return err
}

// byFastly looks for the newest archive instead of computing its name: the CLI
// writes the app's name in a way of its own.
func (b Builder) byFastly(ctx context.Context, tool string) (*Archive, error) {
	start := time.Now()
	if err := b.run(ctx, tool, "compute", "build", "--non-interactive"); err != nil {
		return nil, err
	}
	all, err := filepath.Glob(filepath.Join(b.Dir, "pkg", "*.tar.gz"))
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		if info, err := os.Stat(name); err == nil && !info.ModTime().Before(start.Truncate(time.Second)) {
			content, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			return ReadArchive(content)
		}
	}
	return nil, errors.New("the build left no archive in pkg")
}

// wasmTarget is what cargo compiles for.
const wasmTarget = "wasm32-wasip1"

// byCargo packs what the compiler made.
func (b Builder) byCargo(ctx context.Context, tool string, manifest []byte) (*Archive, error) {
	if err := b.run(ctx, tool, "build", "--release", "--target", wasmTarget); err != nil {
		return nil, err
	}
	all, err := filepath.Glob(filepath.Join(b.Dir, "target", wasmTarget, "release", "*.wasm"))
	if err != nil || len(all) != 1 {
		return nil, errors.New("the build did not leave exactly one program in target/" + wasmTarget + "/release")
	}
	program, err := os.ReadFile(all[0])
	if err != nil {
		return nil, err
	}
	content, err := pack("package", map[string][]byte{"fastly.toml": manifest, "bin/main.wasm": program})
	if err != nil {
		return nil, err
	}
	return ReadArchive(content)
}

// pack makes an archive with one directory.
func pack(top string, files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, name := range []string{"fastly.toml", "bin/main.wasm"} {
		h := &tar.Header{Name: top + "/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	err := errors.Join(w.Close(), z.Close())
	return out.Bytes(), err
}
