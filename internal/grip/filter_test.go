package grip

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// The items are those of captures 13 and 50.
func TestDeliveryFilters(t *testing.T) {
	all := []string{"skip-self", "skip-users", "require-sub", "unknown"}
	for _, tt := range []struct {
		name             string
		subMeta, pubMeta map[string]string
		want             bool
	}{
		{"no meta at all", nil, nil, true},
		{"own message", meta("user", "u1"), meta("sender", "u1"), false},
		{"another's message", meta("user", "u1"), meta("sender", "u2"), true},
		{"empty names are not equal", meta("user", ""), meta("sender", ""), true},
		{"skipped user", meta("user", "u1"), meta("skip_users", "a, u1"), false},
		{"other users skipped", meta("user", "u1"), meta("skip_users", "a,u12,"), true},
		{"nobody is skipped as nobody", meta("user", ""), meta("skip_users", "a,,b"), true},
		{"required subscription is there", nil, meta("require_sub", "other"), true},
		{"required subscription is missing", nil, meta("require_sub", "nope"), false},
		{"empty requirement", nil, meta("require_sub", ""), true},
	} {
		c := &FilterContext{SubMeta: tt.subMeta, PubMeta: tt.pubMeta,
			Subscribed: func(ch string) bool { return ch == "other" }}
		if got := c.Deliver(all); got != tt.want {
			t.Errorf("%s: Deliver = %v", tt.name, got)
		}
		out, got, err := c.Apply(all, []byte("x"))
		if err != nil || got != tt.want || (string(out) == "x") != tt.want {
			t.Errorf("%s: Apply = %q, %v, %v", tt.name, out, got, err)
		}
	}
	if (&FilterContext{PubMeta: meta("require_sub", "c")}).Deliver(all) {
		t.Error("a session that knows no channels met a requirement")
	}
}

func meta(pairs ...string) map[string]string {
	m := make(map[string]string)
	for pair := range slices.Chunk(pairs, 2) {
		m[pair[0]] = pair[1]
	}
	return m
}

func TestContentFilters(t *testing.T) {
	room := meta("id_format", "room:%(events-room)s")
	prev := func(ch string) (string, bool) { return "p-" + ch, ch != "nope" }
	for _, tt := range []struct {
		name, filter, content string
		c                     FilterContext
		want                  string
	}{
		{"13 var-subst", "var-subst", "4 %(user)s %(color)s 100%%\n", FilterContext{SubMeta: meta("user", "u1", "color", "red")}, "4 u1 red 100%\n"},
		{"an escaped name", "var-subst", `%(a\)\\)s`, FilterContext{SubMeta: meta(`a)\`, "v")}, "v"},
		{"14 build-id renders the item's own id", "build-id", "event: message\nid: %I\ndata: {\"pct\": \"100%%\"}\n\n",
			FilterContext{SubMeta: room, Channel: "events-room", ID: "6", PrevID: prev},
			"event: message\nid: room:6\ndata: {\"pct\": \"100%\"}\n\n"},
		{"65 without the id it renders the one before", "build-id", "%I", FilterContext{SubMeta: room, Channel: "events-room", PrevID: prev}, "room:p-events-room"},
		{"ids of other channels", "build-id", "%I,%I", FilterContext{SubMeta: meta("id_format", "%(a)s-%(b)s%%"), Channel: "a", ID: "1", PrevID: prev}, "1-p-b%,1-p-b%"},
		{"an id of its own", "build-id", "%(ab)I", FilterContext{SubMeta: meta("id_format", "")}, "ab"},
		{"hex", "build-id", "%(ab)I %I", FilterContext{SubMeta: meta("id_format", "z", "id_encoding", "hex")}, "6162 7a"},
		{"an empty id is an id", "build-id", "<%I>", FilterContext{SubMeta: meta("id_format", "")}, "<>"},
		{"unknown filters leave content alone", "http-check", "%z", FilterContext{}, "%z"},
	} {
		out, deliver, err := tt.c.Apply([]string{tt.filter}, []byte(tt.content))
		if err != nil || !deliver || string(out) != tt.want {
			t.Errorf("%s: got %q, %v, %v; want %q", tt.name, out, deliver, err, tt.want)
		}
	}
}

func TestContentFilterErrors(t *testing.T) {
	for _, tt := range []struct{ filter, content, idFormat, want string }{
		{"var-subst", "%(nope)s", "", "var-subst: no such variable 'nope' in the directive at byte 0"},
		{"var-subst", "ab %z", "", `var-subst: unknown directive 'z' in the directive at byte 3`},
		{"var-subst", "%%%s", "", "var-subst: directive 's' requires an argument in the directive at byte 2"},
		{"var-subst", "100%", "", "var-subst: expected a directive after % in the directive at byte 3"},
		{"var-subst", "%(user", "", "var-subst: unterminated ( in the directive at byte 0"},
		{"var-subst", "%(user)", "", "var-subst: expected a directive after ) in the directive at byte 0"},
		{"var-subst", `%(user\`, "", `var-subst: expected a character after \ in the directive at byte 0`},
		{"var-subst", "5% off", "", `var-subst: unknown directive ' ' in the directive at byte 1`},
		{"build-id", "x", "-", "build-id: no sub meta 'id_format'"},
		{"build-id", "%I", "%(gone)s", "build-id: id_format: no such variable 'gone' in the directive at byte 0"},
		{"build-id", "bad %z\n", "", `build-id: unknown directive 'z' in the directive at byte 4`},
	} {
		sub := meta("user", "u1", "id_format", tt.idFormat)
		if tt.idFormat == "-" {
			delete(sub, "id_format")
		}
		out, deliver, err := (&FilterContext{SubMeta: sub}).Apply([]string{tt.filter}, []byte(tt.content))
		if err == nil || err.Error() != tt.want || deliver || out != nil {
			t.Errorf("%s of %q: got %q, %v, %v; want the error %q", tt.filter, tt.content, out, deliver, err, tt.want)
		}
	}
}

func TestContentFiltersBoundTheirOutput(t *testing.T) {
	c := &FilterContext{SubMeta: meta("v", strings.Repeat("x", 4096))}
	content := []byte(strings.Repeat("%(v)s", 1000))
	if out, deliver, err := c.Apply([]string{"var-subst"}, content); err == nil || deliver {
		t.Errorf("5 kB became %d", len(out))
	}
	if out, _, err := c.Apply([]string{"var-subst"}, content[:500]); err != nil || len(out) != 100*4096 {
		t.Errorf("a tenth of it: got %d bytes, %v", len(out), err)
	}
}

func TestFiltersRunInOrder(t *testing.T) {
	c := &FilterContext{SubMeta: meta("user", "u1", "id_format", "7"), PubMeta: meta("sender", "u1")}
	if _, deliver, err := c.Apply([]string{"skip-self", "var-subst"}, []byte("%z")); deliver || err != nil {
		t.Errorf("a drop did not stop the chain: %v, %v", deliver, err)
	}
	if _, _, err := c.Apply([]string{"var-subst", "skip-self"}, []byte("%z")); err == nil {
		t.Error("the later drop hid the error")
	}
	c.PubMeta = nil
	out, _, err := c.Apply([]string{"var-subst", "build-id"}, []byte("%(user)s %%I"))
	if err != nil || string(out) != "u1 7" {
		t.Errorf("the second filter reads what the first wrote: got %q, %v", out, err)
	}
}

func TestUnfilteredContentIsNotCopied(t *testing.T) {
	content := []byte("plain")
	c := &FilterContext{SubMeta: meta("id_format", "1")}
	filters := []string{"var-subst", "skip-self"}
	out, _, err := c.Apply(filters, content)
	if err != nil || &out[0] != &content[0] {
		t.Error("content without directives was copied")
	}
	if n := testing.AllocsPerRun(100, func() { c.Deliver(filters) }); n != 0 {
		t.Errorf("Deliver takes %v allocations, want 0", n)
	}
}

func TestFilterBody(t *testing.T) {
	body := []byte("id: %(x)I\n100%%\n")
	if out, err := FilterBody([]string{"skip-self", "build-id"}, nil, body); err != nil || string(out) != "id: x\n100%\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if out, err := FilterBody([]string{"var-subst"}, nil, body); err != nil || !bytes.Equal(out, body) {
		t.Errorf("a body without build-id was changed: %q, %v", out, err)
	}
	_, err := FilterBody([]string{"build-id"}, meta("id_format", "1"), []byte("%I"))
	if err == nil || !strings.Contains(err.Error(), "no default id") {
		t.Errorf("%%I in a body: got %v, want an error", err)
	}
}

func TestContentFiltersMatch(t *testing.T) {
	sub := []string{"skip-self", "build-id", "require-sub", "var-subst"}
	for _, tt := range []struct {
		name          string
		want, filters []string
		ok            bool
	}{
		{"nothing expected", nil, sub, true},
		{"the same in order", []string{"build-id", "var-subst"}, sub, true},
		{"another order", []string{"var-subst", "build-id"}, sub, false},
		{"65 none expected, some there", []string{}, sub, false},
		{"none expected, none there", []string{}, []string{"skip-self"}, true},
		{"one expected, two there", []string{"build-id"}, sub, false},
		{"one expected, none there", []string{"build-id"}, nil, false},
	} {
		if got := ContentFiltersMatch(tt.want, tt.filters); got != tt.ok {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

// Any text can be quoted so that expand gives it back; formats at large are no
// identity, as that is their purpose.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"%I", "%%", `%(a\)b)I`, "%(", "x%(y)s", "%"} {
		f.Add([]byte(s))
	}
	upper := func(dst []byte, _ byte, arg []byte) ([]byte, error) { return append(dst, bytes.ToUpper(arg)...), nil }
	f.Fuzz(func(t *testing.T, format []byte) {
		if out, err := expand(format, upper); err == nil && len(out) > 3*len(format) {
			// ToUpper may lengthen a rune to three bytes, nothing else grows.
			t.Errorf("%q grew to %q", format, out)
		}
		quoted := bytes.ReplaceAll(format, []byte("%"), []byte("%%"))
		if out, err := expand(quoted, upper); err != nil || !bytes.Equal(out, format) {
			t.Errorf("%q quoted as %q expands to %q, %v", format, quoted, out, err)
		}
	})
}
