package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTree holds every file of the module to the picture and to the house rules.
func TestTree(t *testing.T) {
	files := readTree(t)
	rules := []struct {
		name  string
		check func(*testing.T, []file)
	}{
		{"imports point down", importsPointDown},
		{"third-party modules stay with their owner", thirdPartyModulesStayWithTheirOwner},
		{"files are short", filesAreShort},
		{"functions are short", functionsAreShort},
		{"no init functions", noInitFunctions},
		{"every package says what it is", everyPackageSaysWhatItIs},
		{"exported names are documented", exportedNamesAreDocumented},
		{"tests do not sleep", testsDoNotSleep},
		{"nothing is left for later", nothingIsLeftForLater},
		{"no package is named for nothing", noPackageIsNamedForNothing},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.check(t, files) })
	}
}

const module = "github.com/pubsubctl/pubsubctl"

// file is one Go source file of the module.
type file struct {
	path    string // slash-separated, relative to the module's root
	lines   int
	syntax  *ast.File
	fset    *token.FileSet
	imports []string // import paths, as written
}

func (f file) dir() string { return path.Dir(f.path) }
func (f file) test() bool  { return strings.HasSuffix(f.path, "_test.go") }

// suite reports whether f belongs to a package of tests that others run, such
// as storetest: not compiled into the product, though no _test.go file.
func (f file) suite() bool { return strings.HasSuffix(f.dir(), "test") }

func (f file) line(p token.Pos) int { return f.fset.Position(p).Line }

// within reports whether the slash-separated path p is tree or lies inside it.
func within(p, tree string) bool {
	return p == tree || strings.HasPrefix(p, tree+"/")
}

// readTree parses every Go file of the module. It ignores build constraints, so
// that a file for Windows obeys the same rules on a Linux machine.
func readTree(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != root && skipped(p, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		f, err := readFile(root, p)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go file found: is this test still two directories below go.mod?")
	}
	return files
}

// skipped follows the go command, which ignores these directories too, and adds
// modules of their own and what the release tool writes.
func skipped(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	switch name {
	case "testdata", "vendor", "node_modules", "dist":
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func readFile(root, name string) (file, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return file{}, err
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return file{}, err
	}
	f := file{path: filepath.ToSlash(rel), lines: bytes.Count(src, []byte("\n")), fset: token.NewFileSet()}
	f.syntax, err = parser.ParseFile(f.fset, f.path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	for _, spec := range f.syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, p)
	}
	return f, nil
}
