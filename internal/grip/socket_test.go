package grip

import "testing"

func TestParseExtensions(t *testing.T) {
	for _, tt := range []struct {
		in     []string
		prefix string
		ok     bool
	}{
		{[]string{`grip; message-prefix=""`}, "", true},
		{[]string{"grip"}, "m:", true},
		{[]string{`permessage-deflate, Grip; message-prefix="x,;"`}, "x,;", true},
		{[]string{"foo", "grip; message-prefix=y"}, "y", true},
		{[]string{"gripe", `grip; message-prefix="open`}, "", false},
		{nil, "", false},
	} {
		if prefix, ok := ParseExtensions(tt.in); prefix != tt.prefix || ok != tt.ok {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.in, prefix, ok, tt.prefix, tt.ok)
		}
	}
}

// The first five are capture 21.
func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		kind            EventType
		content, prefix string
		class           Class
		rest            string
	}{
		{EventText, `c:{"type": "detach"}`, "m:", ClassControl, `{"type": "detach"}`},
		{EventText, "m:hi", "m:", ClassMessage, "hi"},
		{EventText, "dropped", "m:", ClassDropped, ""},
		{EventBinary, "m:bin", "m:", ClassMessage, "bin"},
		{EventText, "c:x", "", ClassControl, "x"},
		{EventText, "hi", "", ClassMessage, "hi"},
		{EventBinary, "c:x", "", ClassMessage, "c:x"},
		{EventBinary, "c:x", "m:", ClassDropped, ""},
		{EventText, "", "", ClassMessage, ""},
		{EventPing, "p", "m:", ClassMessage, "p"},
		{EventClose, "\x03\xe8", "m:", ClassMessage, "\x03\xe8"},
	} {
		class, rest := Classify(Event{tt.kind, []byte(tt.content)}, tt.prefix)
		if class != tt.class || string(rest) != tt.rest {
			t.Errorf("%v %q with prefix %q: got %d, %q; want %d, %q", tt.kind, tt.content, tt.prefix, class, rest, tt.class, tt.rest)
		}
	}
}
