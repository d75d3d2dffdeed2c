package fastlytest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxUnpacked bounds what a package may unpack to.
const maxUnpacked = 256 << 20

var errPackage = errors.New("not a package")

// readPackage reads an archive the way the platform does: its manifest, and two
// hashes, of the file and of what is in it.
func readPackage(archive []byte) (*Package, error) {
	files, err := unpack(archive)
	if err != nil {
		return nil, err
	}
	var manifest, program string
	for name := range files {
		switch path.Base(name) {
		case "fastly.toml":
			manifest = name
		case "main.wasm":
			program = name
		}
	}
	if manifest == "" || program == "" || !bytes.HasPrefix(files[program], []byte("\x00asm")) {
		return nil, errPackage
	}
	p := readManifest(string(files[manifest]))
	if p.Name == "" {
		return nil, errPackage
	}
	p.Size = int64(len(archive))
	whole, content := sha512.Sum512(archive), sha512.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content.Write(files[name])
	}
	p.Hash, p.FilesHash = hex.EncodeToString(whole[:]), hex.EncodeToString(content.Sum(nil))
	return p, nil
}

// unpack reads the regular files of a gzip'd tar archive.
func unpack(archive []byte) (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, errPackage
	}
	files, r := map[string][]byte{}, tar.NewReader(io.LimitReader(z, maxUnpacked))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, errPackage
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return nil, errPackage
		}
	}
}

// readManifest takes the members of the manifest's first table that the API
// shows. A line that does not read NAME = VALUE is passed over: the platform
// judges manifests, an imitation need not.
func readManifest(text string) *Package {
	p := &Package{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			break
		}
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "name":
			p.Name = unquote(value)
		case "description":
			p.Description = unquote(value)
		case "language":
			p.Language = unquote(value)
		case "cloned_from":
			p.ClonedFrom = unquote(value)
		case "authors":
			for _, author := range strings.Split(strings.Trim(value, "[]"), ",") {
				if author = unquote(strings.TrimSpace(author)); author != "" {
					p.Authors = append(p.Authors, author)
				}
			}
		}
	}
	return p
}

func unquote(s string) string { return strings.Trim(s, `"'`) }

// showPackage leaves out the members of metadata that its manifest does not have.
func showPackage(s *Service, v *Version, p *Package) object {
	meta := object{
		"name": p.Name, "description": p.Description, "authors": append([]string{}, p.Authors...), "language": p.Language,
		"size": p.Size, "hashsum": p.Hash, "files_hash": p.FilesHash,
	}
	if p.ClonedFrom != "" {
		meta["cloned_from"] = p.ClonedFrom
	}
	if p.WasmMetadata != nil {
		meta["wasm_metadata"] = p.WasmMetadata
	}
	return object{
		"id": p.ID, "service_id": s.ID, "version": v.Number, "metadata": meta,
		"created_at": stamp(p.Created), "updated_at": stamp(p.Updated), "deleted_at": nil,
	}
}

func (c *call) getPackage() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	if v.Package == nil {
		return nil, notFound("Package", "service", s.ID, "version", itoa(v.Number))
	}
	return showPackage(s, v, v.Package), nil
}

func (c *call) putPackage() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	if s.Type != Wasm {
		return nil, badRequest("Packages are for Compute services")
	}
	p, err := readPackage(c.raw)
	if err != nil {
		return nil, badRequest("Failed to extract metadata from package")
	}
	p.ID, p.Created, p.Updated = c.mint.id(), c.at, c.at
	if v.Package != nil {
		p.ID, p.Created = v.Package.ID, v.Package.Created
	}
	p.WasmMetadata = json.RawMessage(`{}`)
	p.Language = cmp.Or(p.Language, "other")
	v.Package = p
	return showPackage(s, v, p), nil
}
