package grip

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// The bodies are those of the captures whose numbers stand in front.
func TestParsePublish(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       Item
	}{
		{"04 http-response", `{"items": [{"channel": "lp", "formats": {"http-response": {"code": 201, "reason": "Yay", "headers": {"X-Pub": "p", "Content-Type": "application/json"}, "body": "{\"a\":1}"}}}]}`,
			Item{Channel: "lp", HTTPResponse: &HTTPResponse{Code: 201, Reason: "Yay", Body: []byte(`{"a":1}`),
				Header: [][2]string{{"Content-Type", "application/json"}, {"X-Pub", "p"}}}}},
		{"06 bytes", `{"items": [{"channel": "st", "formats": {"http-stream": {"content-bin": "AAH/"}}}]}`,
			Item{Channel: "st", HTTPStream: &HTTPStream{Content: []byte{0, 1, 0xff}}}},
		{"06 close", `{"items": [{"channel": "st", "formats": {"http-stream": {"action": "close"}}}]}`,
			Item{Channel: "st", HTTPStream: &HTTPStream{Action: Close}}},
		{"10 hint", `{"items": [{"channel": "rel", "formats": {"http-stream": {"action": "hint"}}}]}`,
			Item{Channel: "rel", HTTPStream: &HTTPStream{Action: Hint}}},
		{"12 ids", `{"items": [{"channel": "dd", "id": "4", "formats": {"http-stream": {"content": "d\n"}}, "prev-id": "3"}]}`,
			Item{Channel: "dd", ID: "4", PrevID: "3", HTTPStream: &HTTPStream{Content: []byte("d\n")}}},
		{"13 meta", `{"items": [{"channel": "fl", "formats": {"http-stream": {"content": "6 sub ok\n"}}, "meta": {"require_sub": "other"}}]}`,
			Item{Channel: "fl", Meta: map[string]string{"require_sub": "other"}, HTTPStream: &HTTPStream{Content: []byte("6 sub ok\n")}}},
		{"14 content filters", `{"items": [{"channel": "e", "formats": {"http-stream": {"content": "%I", "content-filters": ["build-id"]}}}]}`,
			Item{Channel: "e", HTTPStream: &HTTPStream{Content: []byte("%I"), ContentFilters: []string{"build-id"}}}},
		{"65 no content filters are not the same as none given", `{"items": [{"channel": "e", "formats": {"http-stream": {"content": "", "content-filters": []}}}]}`,
			Item{Channel: "e", HTTPStream: &HTTPStream{Content: []byte{}, ContentFilters: []string{}}}},
		{"20 bytes are a binary message", `{"items": [{"channel": "test", "formats": {"ws-message": {"content-bin": "AAEC"}}}]}`,
			Item{Channel: "test", WSMessage: &WSMessage{Type: Binary, Content: []byte{0, 1, 2}}}},
		{"23 close code", `{"items": [{"channel": "test", "formats": {"ws-message": {"action": "close", "code": 4001, "reason": "gone"}}}]}`,
			Item{Channel: "test", WSMessage: &WSMessage{Action: Close, Code: 4001, Reason: "gone"}}},
		{"40 refresh", `{"items": [{"channel": "wr", "formats": {"ws-message": {"action": "refresh"}}}]}`,
			Item{Channel: "wr", WSMessage: &WSMessage{Action: Refresh}}},
		{"the type beats the field", `{"items":[{"channel":"","formats":{"ws-message":{"type":"text","content":"p","content-bin":"/w"}}}]}`,
			Item{WSMessage: &WSMessage{Content: []byte{0xff}}}},
		{"a pong needs no content", `{"items":[{"channel":"c","formats":{"ws-message":{"type":"pong"}}}]}`,
			Item{Channel: "c", WSMessage: &WSMessage{Type: Pong}}},
		{"legacy: formats on the item", `{"items":[{"channel":"c","http-stream":{"content":"x"},"ws-message":{"content":"y"},"no-seq":true,"size":5}]}`,
			Item{Channel: "c", NoSeq: true, HTTPStream: &HTTPStream{Content: []byte("x")}, WSMessage: &WSMessage{Content: []byte("y")}}},
		{"unknown formats deliver nothing", `{"items":[{"channel":"c","formats":{"foo":{}},"bar":1}]}`, Item{Channel: "c"}},
		{"header pairs, digits in a string, status 200", `{"items":[{"channel":"c","formats":{"http-response":{"code":"200","headers":[["A","1"],["A","2"]],"body":""}}}]}`,
			Item{Channel: "c", HTTPResponse: &HTTPResponse{Code: 200, Header: [][2]string{{"A", "1"}, {"A", "2"}}, Body: []byte{}}}},
		{"a patch", `{"items":[{"channel":"c","formats":{"http-response":{"body-patch":[{"op":"add", "path":"/n", "value":12345678901234567890}]}}}]}`,
			Item{Channel: "c", HTTPResponse: &HTTPResponse{Code: 200, BodyPatch: []byte(`[{"op":"add","path":"/n","value":12345678901234567890}]`)}}},
		{"fields of other actions are not looked at", `{"items":[{"channel":"c","formats":{"http-response":{"action":"hint","code":"x","body":5}}}]}`,
			Item{Channel: "c", HTTPResponse: &HTTPResponse{Action: Hint}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePublish([]byte(tt.body))
			if err != nil || !reflect.DeepEqual(got, []*Item{&tt.want}) {
				t.Fatalf("got %s, %v; want %s", show(got), err, show([]*Item{&tt.want}))
			}
			if len(got[0].wire().Formats) == 0 {
				return // such an item is not accepted under "formats" again
			}
			back, err := ParsePublish(MarshalItems(got))
			if err != nil || !reflect.DeepEqual(back, got) {
				t.Errorf("wrote %s, read back %s, %v", MarshalItems(got), show(back), err)
			}
		})
	}
}

func show(items []*Item) string {
	b, err := json.Marshal(items)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestParsePublishReasons(t *testing.T) {
	// Each body is what "items" holds, or all of it if it starts with a tilde.
	for _, tt := range []struct {
		body string
		want error
	}{
		{"~{", ErrNotJSON}, {"~", ErrNotJSON}, {"~5", ErrNotJSON}, {`~"x"`, ErrNotJSON}, {"~null", ErrNotJSON},
		{"~{}{}", ErrNotJSON}, {"~{\"items\":[\"\xff\"]}", ErrNotJSON}, {"~[]", ErrNotObject},
		{"~{}", Reason("object does not contain 'items'")},
		{`~{"Items":[]}`, Reason("object does not contain 'items'")},
		{`{}`, Reason("object contains 'items' with wrong type")},
		{`["x"]`, Reason("publish item object is not an object")},
		{`[{"formats":{"http-stream":{"content":"x"}}}]`, Reason("publish item object does not contain 'channel'")},
		{`[{"channel":1}]`, Reason("publish item object contains 'channel' with wrong type")},
		{`[{"channel":"c"}]`, Reason("no formats specified")},
		{`[{"channel":"c","formats":{}}]`, Reason("no formats specified")},
		{`[{"channel":"c","formats":[]}]`, Reason("publish item object contains 'formats' with wrong type")},
		{`[{"channel":"c","id":5,"formats":{"http-stream":{"content":"x"}}}]`, Reason("publish item object contains 'id' with wrong type")},
		{`[{"channel":"c","prev-id":null,"formats":{"foo":1}}]`, Reason("publish item object contains 'prev-id' with wrong type")},
		{`[{"channel":"c","formats":{"foo":1},"meta":1}]`, Reason("publish item object contains 'meta' with wrong type")},
		{`[{"channel":"c","formats":{"foo":1},"meta":{"a":1}}]`, Reason("'meta' contains 'a' with wrong type")},
		{`[{"channel":"c","formats":{"foo":1},"no-seq":"true"}]`, Reason("publish item object contains 'no-seq' with wrong type")},
		{`[{"channel":"c","formats":{"foo":1},"size":-1}]`, Reason("publish item object contains 'size' with invalid value")},
		{`[{"channel":"c","http-stream":1}]`, Reason("'http-stream' is not an object")},
		{`[{"channel":"c","http-stream":{}}]`, Reason("'http-stream' does not contain 'content' or 'content-bin'")},
		{`[{"channel":"c","http-stream":{"content":5}}]`, Reason("'http-stream' contains 'content' with wrong type")},
		{`[{"channel":"c","http-stream":{"content-bin":5}}]`, Reason("'http-stream' contains 'content-bin' with wrong type")},
		{`[{"channel":"c","http-stream":{"action":"zzz"}}]`, Reason("")},
		{`[{"channel":"c","http-stream":{"action":1}}]`, Reason("'http-stream' contains 'action' with wrong type")},
		{`[{"channel":"c","http-stream":{"content":"","content-filters":1}}]`, Reason("'http-stream' contains 'content-filters' with wrong type")},
		{`[{"channel":"c","http-stream":{"content":"","content-filters":[1]}}]`, Reason("content-filters contains element with wrong type")},
		{`[{"channel":"c","http-response":{}}]`, Reason("'http-response' does not contain 'body', 'body-bin', or 'body-patch'")},
		{`[{"channel":"c","http-response":{"body":1}}]`, Reason("'http-response' contains 'body' with wrong type")},
		{`[{"channel":"c","http-response":{"body":"","reason":1}}]`, Reason("'http-response' contains 'reason' with wrong type")},
		{`[{"channel":"c","http-response":{"body":"","headers":1}}]`, Reason("'http-response' contains 'headers' with wrong type")},
		{`[{"channel":"c","http-response":{"body-patch":{}}}]`, Reason("'http-response' contains 'body-patch' with wrong type")},
		{`[{"channel":"c","http-response":{"body":"","headers":[1]}}]`, Reason("headers contains element with wrong type")},
		{`[{"channel":"c","http-response":{"body":"","headers":[["a"]]}}]`, Reason("headers contains list with wrong number of elements")},
		{`[{"channel":"c","http-response":{"body":"","headers":{"a":1}}}]`, Reason("headers contains 'a' with wrong type")},
		{`[{"channel":"c","http-response":{"body":"","code":1000}}]`, Reason("'http-response' contains 'code' with invalid value")},
		{`[{"channel":"c","http-response":{"body":"","code":"abc"}}]`, Reason("'http-response' contains 'code' with wrong type")},
		{`[{"channel":"c","http-response":{"body":"","code":200.5}}]`, Reason("'http-response' contains 'code' with wrong type")},
		{`[{"channel":"c","http-response":{"body":"","code":true}}]`, Reason("'http-response' contains 'code' with wrong type")},
		{`[{"channel":"c","ws-message":{"type":"x","content":""}}]`, Reason("'ws-message' contains 'type' with unknown value")},
		{`[{"channel":"c","ws-message":{}}]`, Reason("'ws-message' does not contain 'content' or 'content-bin'")},
		{`[{"channel":"c","ws-message":{"action":"close","code":-1}}]`, Reason("'ws-message' contains 'code' with invalid value")},
		{`[{"channel":"good","http-stream":{"content":"x"}},{"channel":"bad"}]`, Reason("no formats specified")},
	} {
		body, whole := strings.CutPrefix(tt.body, "~")
		if !whole {
			body = `{"items":` + body + `}`
		}
		if got, err := ParsePublish([]byte(body)); got != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: got %s, %q; want %q", body, show(got), err, tt.want)
		}
	}
}

func TestParsePublishNoItems(t *testing.T) {
	if got, err := ParsePublish([]byte(`{"items":[]}`)); err != nil || len(got) != 0 {
		t.Errorf("got %s, %v; an empty list is a valid publish", show(got), err)
	}
}

func TestMarshalItems(t *testing.T) {
	items := []*Item{
		{Channel: "a<b", ID: "2", PrevID: "1", Meta: map[string]string{"sender": "u1"}, NoSeq: true,
			HTTPStream: &HTTPStream{Content: []byte("x\n")},
			WSMessage:  &WSMessage{Type: Binary, Content: []byte("x")}},
		{Channel: "c", WSMessage: &WSMessage{Action: Close, Code: 4001, Reason: "gone"}},
		{Channel: "d", HTTPResponse: &HTTPResponse{Body: []byte{0xff}}, WSMessage: &WSMessage{Content: []byte{0xff}}},
		{Channel: "e", HTTPResponse: &HTTPResponse{BodyPatch: []byte("not json")}},
	}
	want := `{"items":[` +
		`{"channel":"a<b","id":"2","prev-id":"1","formats":{"http-stream":{"content":"x\n"},"ws-message":{"content-bin":"eA=="}},"meta":{"sender":"u1"},"no-seq":true},` +
		`{"channel":"c","formats":{"ws-message":{"action":"close","code":4001,"reason":"gone"}}},` +
		`{"channel":"d","formats":{"http-response":{"body-bin":"/w=="},"ws-message":{"type":"text","content-bin":"/w=="}}},` +
		`{"channel":"e","formats":{"http-response":{"body-patch":null}}}]}`
	if got := string(MarshalItems(items)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(MarshalItems(nil)); got != `{"items":[]}` {
		t.Errorf("no items: got %s", got)
	}
}

func FuzzParsePublish(f *testing.F) {
	f.Add([]byte(`{"items":[{"channel":"c","id":"2","prev-id":"1","formats":{"http-response":{"code":"201","headers":[["A","1"]],"body":"x"},"http-stream":{"content-bin":"AAH/"},"ws-message":{"content":"y","content-filters":[]}},"meta":{"a":"b"},"no-seq":true,"size":3}]}`))
	f.Add([]byte(`{"items":[{"channel":"c","ws-message":{"action":"close","code":4000}},{"channel":"d","http-response":{"body-patch":[1]}}]}`))
	f.Add([]byte(`{"items":[{"channel":"c","formats":{"ws-message":{"type":"ping","content":""}}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := ParsePublish(body)
		if err != nil {
			if items != nil {
				t.Errorf("an error and %s", show(items))
			}
			return
		}
		for _, it := range items {
			if len(it.wire().Formats) == 0 {
				return // unknown formats are not kept, and none at all is refused
			}
		}
		out := MarshalItems(items)
		back, err := ParsePublish(out)
		if err != nil || !reflect.DeepEqual(back, items) {
			t.Errorf("read %s, wrote %s, read back %s, %v", show(items), out, show(back), err)
		}
		if again := MarshalItems(back); !bytes.Equal(again, out) {
			t.Errorf("wrote %s, then %s", out, again)
		}
	})
}

func BenchmarkParsePublish(b *testing.B) {
	content := strings.Repeat("event: message\ndata: x\n\n", 8)
	body := MarshalItems([]*Item{{Channel: "s:news", HTTPStream: &HTTPStream{Content: []byte(content)},
		WSMessage: &WSMessage{Type: Binary, Content: []byte(content)}}})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePublish(body); err != nil {
			b.Fatal(err)
		}
	}
}
