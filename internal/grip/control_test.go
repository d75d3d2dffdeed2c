package grip

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// The messages are those of the captures whose numbers stand in front.
func TestParseControl(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Control
		out      string
	}{
		{"20 subscribe", `{"type": "subscribe", "channel": "test"}`, Control{Type: ControlSubscribe, Channel: "test"},
			`{"type":"subscribe","channel":"test"}`},
		{"21 subscribe with a filter", `{"type": "subscribe", "channel": "w4", "filters": ["skip-self"]}`,
			Control{Type: ControlSubscribe, Channel: "w4", Filters: []string{"skip-self"}},
			`{"type":"subscribe","channel":"w4","filters":["skip-self"]}`},
		{"unsubscribe", `{"type":"unsubscribe","channel":"c","x":1}`, Control{Type: ControlUnsubscribe, Channel: "c"},
			`{"type":"unsubscribe","channel":"c"}`},
		{"21 detach", `{"type": "detach"}`, Control{Type: ControlDetach}, `{"type":"detach"}`},
		{"21 set-meta", `{"type": "set-meta", "name": "user", "value": "u1"}`, Control{Type: ControlSetMeta, Name: "user", Value: "u1"},
			`{"type":"set-meta","name":"user","value":"u1"}`},
		{"50 set-meta to nothing", `{"type": "set-meta", "name": "user", "value": ""}`, Control{Type: ControlSetMeta, Name: "user"},
			`{"type":"set-meta","name":"user","value":""}`},
		{"set-meta without a value deletes", `{"type":"set-meta","name":"user"}`, Control{Type: ControlSetMeta, Name: "user", Delete: true},
			`{"type":"set-meta","name":"user"}`},
		{"27 keep-alive", `{"type": "keep-alive", "content": "{}", "timeout": 2}`,
			Control{Type: ControlKeepAlive, Content: []byte("{}"), Timeout: 2 * time.Second},
			`{"type":"keep-alive","content":"{}","timeout":2}`},
		{"keep-alive without content turns it off", `{"type":"keep-alive"}`, Control{Type: ControlKeepAlive, Timeout: 55 * time.Second},
			`{"type":"keep-alive","timeout":55}`},
		{"keep-alive with everything", `{"type":"keep-alive","content-bin":"/w==","message-type":"ping","timeout":"0","mode":"interval"}`,
			Control{Type: ControlKeepAlive, Content: []byte{0xff}, MessageType: Ping, Timeout: time.Second, Interval: true},
			`{"type":"keep-alive","content-bin":"/w==","message-type":"ping","timeout":1,"mode":"interval"}`},
		{"content-bin is text unless told otherwise", `{"type":"keep-alive","content-bin":"aGk=","mode":"idle"}`,
			Control{Type: ControlKeepAlive, Content: []byte("hi"), Timeout: 55 * time.Second},
			`{"type":"keep-alive","content":"hi","timeout":55}`},
		{"27 send-delayed", `{"type": "send-delayed", "content": "later", "timeout": 1}`,
			Control{Type: ControlSendDelayed, Content: []byte("later"), Timeout: time.Second},
			`{"type":"send-delayed","content":"later","timeout":1}`},
		{"send-delayed at once", `{"type":"send-delayed","content":"","timeout":0}`, Control{Type: ControlSendDelayed, Content: []byte{}},
			`{"type":"send-delayed","content":"","timeout":0}`},
		{"flush-delayed", `{"type":"flush-delayed"}`, Control{Type: ControlFlushDelayed}, `{"type":"flush-delayed"}`},
		{"session", `{"type":"session","id":"x"}`, Control{Type: ControlSession}, `{"type":"session"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseControl([]byte(tt.in))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if out := string(got.Append(nil)); out != tt.out {
				t.Errorf("wrote %s, want %s", out, tt.out)
			}
			if e := got.Event(); e.Type != EventText || string(e.Content) != "c:"+tt.out {
				t.Errorf("event %v %q", e.Type, e.Content)
			}
		})
	}
}

func TestParseControlReasons(t *testing.T) {
	for in, reason := range map[string]Reason{
		``:                                   errControlJSON,
		`{"type":"detach"}x`:                 errControlJSON,
		`[]`:                                 "grip control packet is not an object",
		`{}`:                                 "grip control object does not contain 'type'",
		`{"type":"set-hold"}`:                "'type' contains unknown value: set-hold",
		`{"type":""}`:                        "'type' contains unknown value: ",
		`{"type":"subscribe"}`:               "grip control object does not contain 'channel'",
		`{"type":"subscribe","channel":""}`:  "grip control object contains 'channel' with invalid value",
		`{"type":"unsubscribe","channel":1}`: "grip control object contains 'channel' with wrong type",
		`{"type":"subscribe","channel":"c","filters":[1]}`:                       "filters contains value with wrong type",
		`{"type":"subscribe","channel":"q","filters":["a","b","c","d","e","f"]}`: ErrTooManyFilters,
		`{"type":"set-meta","name":""}`:                                          "grip control object contains 'name' with invalid value",
		`{"type":"set-meta","name":"n","value":1}`:                               "grip control object contains 'value' with wrong type",
		`{"type":"keep-alive","message-type":"x"}`:                               "grip control object contains 'message-type' with unknown value",
		`{"type":"keep-alive","content":1}`:                                      "grip control object contains 'content' with wrong type",
		`{"type":"keep-alive","content":"","timeout":-1}`:                        "grip control object contains 'timeout' with invalid value",
		`{"type":"keep-alive","content":"","mode":"now"}`:                        "grip control object contains 'mode' with unknown value",
		`{"type":"send-delayed","content":"","timeout":"later"}`:                 "grip control object contains 'timeout' with wrong type",
		`{"type":"session","id":1}`:                                              "grip control object contains 'id' with wrong type",
	} {
		if got, err := ParseControl([]byte(in)); !errors.Is(err, reason) || !reflect.DeepEqual(got, Control{}) {
			t.Errorf("%s: got %+v, %v; want the reason %q", in, got, err, reason)
		}
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add([]byte(`{"type":"subscribe","channel":"c","filters":["a"]}`))
	f.Add([]byte(`{"type":"keep-alive","content-bin":"/w==","message-type":"ping","timeout":"5","mode":"interval"}`))
	f.Add([]byte(`{"type":"send-delayed","content":"x","timeout":0}`))
	f.Add([]byte(`{"type":"set-meta","name":"n","value":"v"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ParseControl(in)
		if err != nil {
			return
		}
		out := c.Append(nil)
		if back, err := ParseControl(out); err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("read %+v, wrote %s, read back %+v, %v", c, out, back, err)
		}
	})
}
