package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines = 500
	maxFuncLines = 60 // longer only in cmd, where flags are listed, and in tests, where cases are
)

func filesAreShort(t *testing.T, files []file) {
	for _, f := range files {
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d: give its second idea a file of its own", f.path, f.lines, maxFileLines)
		}
	}
}

func noInitFunctions(t *testing.T, files []file) {
	for _, f := range files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: init runs before main can decide anything; construct it where it is used", f.path, f.line(fn.Pos()))
			}
		}
	}
}

func functionsAreShort(t *testing.T, files []file) {
	var lengths []int
	for _, f := range files {
		if f.test() || f.suite() {
			continue
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := f.line(fn.End()) - f.line(fn.Pos()) + 1
			lengths = append(lengths, n)
			if n > maxFuncLines && !within(f.path, "cmd") {
				t.Errorf("%s:%d: %s has %d lines, more than %d", f.path, f.line(fn.Pos()), fn.Name.Name, n, maxFuncLines)
			}
		}
	}
	slices.Sort(lengths)
	if median := lengths[len(lengths)/2]; median > 12 {
		t.Errorf("half of all functions are longer than %d lines; 12 is the house rule", median)
	}
	if p90 := lengths[len(lengths)*9/10]; p90 > 40 {
		t.Errorf("one function in ten is longer than %d lines; 40 is the house rule", p90)
	}
}

func everyPackageSaysWhatItIs(t *testing.T, files []file) {
	documented := map[string]bool{}
	for _, f := range files {
		if f.test() {
			continue
		}
		documented[f.dir()] = documented[f.dir()] || f.syntax.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment: say what it promises and what it does not", dir)
		}
	}
}

func exportedNamesAreDocumented(t *testing.T, files []file) {
	for _, f := range files {
		if f.test() || f.syntax.Name.Name == "main" {
			continue
		}
		for _, d := range f.syntax.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s:%d: exported %s has no comment", f.path, f.line(d.Pos()), name)
			}
		}
	}
}

// undocumented lists the exported names of a declaration that no comment
// explains. A comment on a group of constants or variables speaks for them all.
func undocumented(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && onExportedType(d) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		if d.Doc != nil && (d.Tok != token.TYPE || len(d.Specs) == 1) {
			return nil
		}
		var names []string
		for _, s := range d.Specs {
			names = append(names, undocumentedSpec(s)...)
		}
		return names
	}
	return nil
}

func undocumentedSpec(s ast.Spec) []string {
	var names []string
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if s.Doc == nil && s.Comment == nil && n.IsExported() {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// onExportedType reports whether a caller outside the package can name d:
// functions always, methods when their receiver's type is exported.
func onExportedType(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// testsDoNotSleep allows time.Sleep only in files that import
// testing/synctest, where the clock is fake and sleeping costs nothing.
func testsDoNotSleep(t *testing.T, files []file) {
	for _, f := range files {
		if !f.test() || f.imports == nil || slices.Contains(f.imports, "testing/synctest") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && isName(sel.X, "time") && sel.Sel.Name == "Sleep" {
				t.Errorf("%s:%d: time.Sleep outside a synctest bubble: wait for the event instead", f.path, f.line(sel.Pos()))
			}
			return true
		})
	}
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

func nothingIsLeftForLater(t *testing.T, files []file) {
	for _, f := range files {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if word := laterWord(c.Text); word != "" {
					t.Errorf("%s:%d: %s: open an issue and name its number, or do it", f.path, f.line(c.Pos()), word)
				}
			}
		}
	}
}

// laterWord finds the usual marks of unfinished work, as whole words in capitals.
func laterWord(comment string) string {
	for _, word := range strings.FieldsFunc(comment, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		switch word {
		case "TO" + "DO", "FIX" + "ME", "X" + "XX":
			return word
		}
	}
	return ""
}

// noPackageIsNamedForNothing refuses the names under which unrelated code
// gathers.
func noPackageIsNamedForNothing(t *testing.T, files []file) {
	nameless := []string{"util", "utils", "common", "helper", "helpers", "types", "pkg", "misc"}
	for _, f := range files {
		for _, step := range strings.Split(strings.TrimSuffix(f.path, ".go"), "/") {
			if slices.Contains(nameless, step) {
				t.Errorf("%s: a package or file is named after its one idea, not %q", f.path, step)
			}
		}
	}
}
