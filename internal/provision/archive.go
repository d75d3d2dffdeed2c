package provision

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

// AppName is the app's name in its manifest.
const AppName = "Pub/Sub"

// Bounds on packages, in bytes: the platform's on the archive, and one of ours on
// what it unpacks to.
const (
	maxArchive  = 100 << 20
	maxUnpacked = 512 << 20
)

// Archive is a package that was checked and hashed.
type Archive struct {
	// Name and Language are from its manifest.
	Name, Language string
	// FilesHash is over the contents of the files in it, as the platform counts.
	FilesHash string
	// Content is the archive itself.
	Content []byte
}

// PackageError says why something cannot be used as a package.
type PackageError struct {
	// Where is the file, the address or the directory it was to come from.
	Where string
	Err   error
}

// Error gives the reason.
func (e *PackageError) Error() string {
	return e.Where + " is not a package to upload: " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *PackageError) Unwrap() error { return e.Err }

// ReadArchive checks a package as the platform would, and what it would not say
// clearly: a gzip'd tar archive with one directory, in it fastly.toml and
// bin/main.wasm.
func ReadArchive(content []byte) (*Archive, error) {
	if len(content) > maxArchive {
		return nil, errors.New("it is larger than 100 MB")
	}
	files, err := unpack(content)
	if err != nil {
		return nil, err
	}
	top, err := topDirectory(files)
	if err != nil {
		return nil, err
	}
	wasm, ok := files[top+"/bin/main.wasm"]
	if !ok {
		return nil, errors.New("it has no bin/main.wasm")
	}
	if !bytes.HasPrefix(wasm, []byte("\x00asm")) {
		return nil, errors.New("its bin/main.wasm is not WebAssembly")
	}
	toml, ok := files[top+"/fastly.toml"]
	if !ok {
		return nil, errors.New("it has no fastly.toml")
	}
	m, err := config.ParseManifest(toml)
	switch {
	case err != nil:
		return nil, errors.New("its fastly.toml is not valid TOML")
	case m.Name == "" || m.Language == "" || m.Version == nil:
		return nil, errors.New("its fastly.toml lacks name, language or manifest_version")
	}
	return &Archive{Name: m.Name, Language: m.Language, FilesHash: hashFiles(files), Content: content}, nil
}

// unpack reads the regular files of an archive.
func unpack(content []byte) (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, errors.New("it is not compressed with gzip")
	}
	files, left := map[string][]byte{}, int64(maxUnpacked)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, errors.New("it is not a whole tar archive")
		}
		if err := safePath(h.Name); err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if left -= h.Size; left < 0 {
			return nil, errors.New("it unpacks to more than 512 MB")
		}
		if files[strings.TrimPrefix(h.Name, "./")], err = io.ReadAll(io.LimitReader(r, h.Size)); err != nil {
			return nil, errors.New("it is not a whole tar archive")
		}
	}
}

// safePath refuses names that lead out of the directory the archive unpacks to.
func safePath(name string) error {
	if path.IsAbs(name) || strings.Contains(name, "\\") || slices.Contains(strings.Split(name, "/"), "..") {
		return fmt.Errorf("it has a file with the path %q", name)
	}
	return nil
}

func topDirectory(files map[string][]byte) (string, error) {
	tops := map[string]bool{}
	for name := range files {
		top, _, deeper := strings.Cut(name, "/")
		if !deeper {
			return "", errors.New("it has files outside of a directory")
		}
		tops[top] = true
	}
	if len(tops) != 1 {
		return "", errors.New("it does not have exactly one directory at its top")
	}
	for top := range tops {
		return top, nil
	}
	return "", nil
}

// hashFiles is SHA-512 over the contents in the byte order of the paths. The hash
// of the archive as a whole would change with the times in it.
func hashFiles(files map[string][]byte) string {
	h := sha512.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Source says where a package comes from.
type Source struct {
	// Where is a file, or an https address.
	Where string
	// SHA256 is what the archive must hash to, in hex; empty for anything.
	SHA256 string
	// HTTP fetches it.
	HTTP http.RoundTripper
}

// fetchTimeout bounds the download of a package.
const fetchTimeout = 5 * time.Minute

// Load reads a package and checks it. Errors are *PackageError.
func Load(ctx context.Context, s Source) (*Archive, error) {
	content, err := s.read(ctx)
	if err == nil {
		err = s.compare(content)
	}
	var a *Archive
	if err == nil {
		a, err = ReadArchive(content)
	}
	if err != nil {
		return nil, &PackageError{s.Where, err}
	}
	return a, nil
}

func (s Source) compare(content []byte) error {
	sum := sha256.Sum256(content)
	if got := hex.EncodeToString(sum[:]); s.SHA256 != "" && !strings.EqualFold(got, s.SHA256) {
		return fmt.Errorf("its SHA-256 is %s, not %s", got, s.SHA256)
	}
	return nil
}

func (s Source) read(ctx context.Context) ([]byte, error) {
	if !IsURL(s.Where) {
		f, err := os.Open(s.Where)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxArchive+1))
	}
	return s.fetch(ctx)
}

// IsURL reports whether a package is fetched and not read from a file.
func IsURL(where string) bool {
	return strings.Contains(where, "://")
}

// fetch gets the archive. What comes over plain HTTP is not trusted without a
// hash to hold it against.
func (s Source) fetch(ctx context.Context) ([]byte, error) {
	switch u, err := url.Parse(s.Where); {
	case err != nil || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the address is not one to fetch from")
	case u.Scheme == "http" && s.SHA256 == "":
		return nil, errPlain
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Where, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: s.HTTP, CheckRedirect: s.redirect}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxArchive+1))
}

var (
	errPlain     = errors.New("what comes over http needs --package-sha256")
	errRedirects = errors.New("the server leads from one address to the next, more than five times")
)

// maxRedirects is how often a server may lead to another address: releases are
// kept on other hosts than their pages.
const maxRedirects = 5

// redirect follows a redirect, unless it gives up the encryption that the first
// address had and there is no hash to hold the archive against.
func (s Source) redirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return errRedirects
	case r.URL.Scheme != "https" && s.SHA256 == "":
		return errPlain
	}
	return nil
}
