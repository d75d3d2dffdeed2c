package grip

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestApplyPatch(t *testing.T) {
	for _, tt := range []struct{ name, body, patch, want string }{
		{"add a member", `{"a": 1}`, `[{"op":"add","path":"/b","value":[2]}]`, `{"a":1,"b":[2]}`},
		{"add replaces a member", `{"a":1}`, `[{"op":"add","path":"/a","value":2}]`, `{"a":2}`},
		{"add in front of an element", `[1,2]`, `[{"op":"add","path":"/1","value":"x"}]`, `[1,"x",2]`},
		{"add at the end", `[1]`, `[{"op":"add","path":"/-","value":2},{"op":"add","path":"/2","value":3}]`, `[1,2,3]`},
		{"add the whole", `[1]`, `[{"op":"add","path":"","value":{"x":null}}]`, `{"x":null}`},
		{"remove", `{"a":{"b":[1,2,3]}}`, `[{"op":"remove","path":"/a/b/1"},{"op":"remove","path":"/a/b/0"}]`, `{"a":{"b":[3]}}`},
		{"replace", `{"a":[1,{"b":2}]}`, `[{"op":"replace","path":"/a/1/b","value":"<&>"}]`, `{"a":[1,{"b":"<&>"}]}`},
		{"replace the whole", `{}`, `[{"op":"replace","path":"","value":[]}]`, `[]`},
		{"move", `{"a":{"b":1},"c":{}}`, `[{"op":"move","from":"/a/b","path":"/c/d"}]`, `{"a":{},"c":{"d":1}}`},
		{"move in an array", `[1,2,3]`, `[{"op":"move","from":"/0","path":"/2"}]`, `[2,3,1]`},
		{"move to itself", `{"a":1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1}`},
		{"copy does not tie", `{"a":{"b":[1]}}`, `[{"op":"copy","from":"/a","path":"/c"},{"op":"add","path":"/c/b/-","value":2}]`, `{"a":{"b":[1]},"c":{"b":[1,2]}}`},
		{"test passes", `{"a":[1.0,"x",null,{"b":true}]}`, `[{"op":"test","path":"/a","value":[1,"x",null,{"b":true}]}]`, `{"a":[1.0,"x",null,{"b":true}]}`},
		{"escaped names", `{"a/b":1,"m~n":2,"":3}`, `[{"op":"remove","path":"/a~1b"},{"op":"remove","path":"/m~0n"},{"op":"replace","path":"/","value":4}]`, `{"":4}`},
		{"large numbers stay", `{"a":12345678901234567890}`, `[]`, `{"a":12345678901234567890}`},
		{"a line end stays", "{}\n", `[]`, "{}\n"},
		{"a DOS line end stays", " [ ]\r\n", `[]`, "[]\r\n"},
	} {
		got, err := ApplyPatch([]byte(tt.body), []byte(tt.patch))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestApplyPatchErrors(t *testing.T) {
	for _, tt := range []struct {
		body, patch string
		want        Reason
	}{
		{`5`, `[]`, errPatchDoc}, {`{`, `[]`, errPatchDoc}, {``, `[]`, errPatchDoc},
		{`{}`, `{}`, errPatchOps}, {`{}`, ``, errPatchOps},
		{`{}`, `[1]`, "op is not an object"},
		{`{}`, `[{"path":"/a"}]`, "op does not contain 'op'"},
		{`{}`, `[{"op":"add"}]`, "op does not contain 'path'"},
		{`{}`, `[{"op":"add","path":1,"value":1}]`, "op contains 'path' with wrong type"},
		{`{}`, `[{"op":"add","path":"/a"}]`, errPatchValue},
		{`{}`, `[{"op":"merge","path":"/a"}]`, errPatchOp},
		{`{}`, `[{"op":"copy","path":"/a"}]`, "op does not contain 'from'"},
		{`{}`, `[{"op":"remove","path":"/a"}]`, errPatchPath},
		{`{}`, `[{"op":"replace","path":"/a","value":1}]`, errPatchPath},
		{`{}`, `[{"op":"add","path":"/a/b","value":1}]`, errPatchPath},
		{`{}`, `[{"op":"add","path":"a","value":1}]`, errPatchPath},
		{`{}`, `[{"op":"copy","from":"/x","path":"/a"}]`, errPatchPath},
		{`{}`, `[{"op":"move","from":"x","path":"/a"}]`, errPatchPath},
		{`{"a":1}`, `[{"op":"add","path":"/a/b","value":1}]`, errPatchPath},
		{`[1]`, `[{"op":"add","path":"/2","value":1}]`, errPatchPath},
		{`[1]`, `[{"op":"remove","path":"/-"}]`, errPatchPath},
		{`[1,2]`, `[{"op":"remove","path":"/01"}]`, errPatchPath},
		{`[1]`, `[{"op":"remove","path":"/-1"}]`, errPatchPath},
		{`{}`, `[{"op":"remove","path":""}]`, errPatchDoc},
		{`{}`, `[{"op":"add","path":"","value":5}]`, errPatchDoc},
		{`{"a":{}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, errPatchInto},
		{`{"a":1}`, `[{"op":"test","path":"/a","value":"1"}]`, errPatchTest},
		{`{"a":[1]}`, `[{"op":"test","path":"/a","value":[1,2]}]`, errPatchTest},
		{`{"a":{"b":1}}`, `[{"op":"test","path":"/a","value":{}}]`, errPatchTest},
		{`{"a":null}`, `[{"op":"test","path":"/a","value":{"b":1}}]`, errPatchTest},
		{`{"a":1}`, `[{"op":"test","path":"/b","value":1}]`, errPatchPath},
		{`{}`, "[" + strings.Repeat("{},", maxPatchOps) + "{}]", errPatchSize},
	} {
		got, err := ApplyPatch([]byte(tt.body), []byte(tt.patch))
		if got != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s with %.80s: got %q, %v; want %v", tt.body, tt.patch, got, err, tt.want)
		}
	}
}

// Forty doublings of a thousand bytes would be a petabyte.
func TestApplyPatchBoundsCopies(t *testing.T) {
	body := `{"a":["` + strings.Repeat("x", 1000) + `"]}`
	patch := "[" + strings.Repeat(`{"op":"copy","from":"/a","path":"/a/-"},`, 40) + `{"op":"test","path":"","value":1}]`
	if _, err := ApplyPatch([]byte(body), []byte(patch)); !errors.Is(err, errPatchSize) {
		t.Errorf("got %v, want %v", err, errPatchSize)
	}
}

// A patch has no encoder. What it makes must be JSON that an empty patch leaves
// alone.
func FuzzApplyPatch(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,2]}}`), []byte(`[{"op":"move","from":"/a/b","path":"/c"},{"op":"add","path":"/c/-","value":1},{"op":"remove","path":"/c/0"},{"op":"test","path":"/c/0","value":2.0}]`))
	f.Add([]byte("[1]\r\n"), []byte(`[{"op":"copy","from":"","path":"/-"},{"op":"replace","path":"/0","value":{"x~1":null}}]`))
	f.Fuzz(func(t *testing.T, body, patch []byte) {
		out, err := ApplyPatch(body, patch)
		if err != nil {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("made %q", out)
		}
		if again, err := ApplyPatch(out, []byte("[]")); err != nil || string(again) != string(out) {
			t.Errorf("made %q, then %q, %v", out, again, err)
		}
	})
}
