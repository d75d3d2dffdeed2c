package grip

import (
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"
)

func TestParseInstructJSON(t *testing.T) {
	stream := &Instruct{Hold: Stream, Channels: []Channel{{Name: "gi"}}}
	ok := &JSONResponse{Status: 200}
	for _, tt := range []struct {
		name, body string
		header     http.Header
		in         *Instruct
		resp       *JSONResponse
	}{
		{"15 stream with a response", `{"hold": {"mode": "stream", "channels": [{"name": "gi"}]}, "response": {"code": 201, "headers": {"Content-Type": "text/event-stream", "X-I": "1"}, "body": "hi\n"}}`,
			header("Content-Type: application/grip-instruct", "X-Lost: 1"), stream,
			&JSONResponse{Status: 201, Header: [][2]string{{"Content-Type", "text/event-stream"}, {"X-I", "1"}}, Body: []byte("hi\n")}},
		{"an empty object is an empty 200", `{}`, nil, &Instruct{}, ok},
		{"the mode is response unless given", `{"hold":{"channels":[]}}`, nil,
			&Instruct{Hold: Response, Timeout: 55 * time.Second}, ok},
		{"everything", `{"hold":{"mode":"response","channels":[{"name":"c","prev-id":"5","filters":["skip-self"]}],"timeout":"7",
			"keep-alive":{"content":"x","content-bin":"aGk=","timeout":0},"meta":{"user":"u1"}},"response":{"reason":"Fine","headers":[["K","1"],["K","2"]],"body":"b","body-bin":"aGk="}}`, nil,
			&Instruct{Hold: Response, Channels: []Channel{{"c", "5", []string{"skip-self"}}}, Timeout: 7 * time.Second,
				KeepAlive: KeepAlive{[]byte("hi"), time.Second, true}, Meta: map[string]string{"user": "u1"}},
			&JSONResponse{200, "Fine", [][2]string{{"K", "1"}, {"K", "2"}}, []byte("hi")}},
		{"headers first, JSON over them", `{"hold":{"mode":"stream","channels":[{"name":"b"}],"keep-alive":{"content":"y"},"meta":{"k":"2"}},"response":{"code":"202"}}`,
			header("Grip-Channel: a", "Grip-Keep-Alive: x; timeout=9", "Grip-Status: 404 Gone", "Grip-Set-Meta: k=1, l=3",
				"Grip-Link: </n>; rel=next", "Grip-Expose-Headers: X"),
			&Instruct{Hold: Stream, Channels: []Channel{{Name: "a"}, {Name: "b"}}, KeepAlive: KeepAlive{[]byte("y"), 55 * time.Second, false},
				Meta: map[string]string{"k": "2", "l": "3"}, Next: Link{URI: "/n"}}, &JSONResponse{Status: 202}},
		{"a status from the header", `{"response":{}}`, header("Grip-Status: 404 Gone"), &Instruct{}, &JSONResponse{Status: 404, Reason: "Gone"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, resp, err := ParseInstructJSON([]byte(tt.body), tt.header)
			if err != nil || !reflect.DeepEqual(in, tt.in) || !reflect.DeepEqual(resp, tt.resp) {
				t.Errorf("got %+v, %+v, %v; want %+v, %+v", in, resp, err, tt.in, tt.resp)
			}
		})
	}
}

func TestParseInstructJSONReasons(t *testing.T) {
	const notJSON = "failed to parse application/grip-instruct content as JSON"
	for _, tt := range []struct{ body, reason string }{
		{``, notJSON}, {`{`, notJSON}, {`{} x`, notJSON}, {`5`, notJSON}, {"{\"a\":\"\xff\"}", notJSON},
		{`[]`, "instruct must be an object"},
		{`{"hold":{}}`, "hold does not contain 'channels'"},
		{`{"hold":[]}`, "instruct contains 'hold' with wrong type"},
		{`{"hold":{"mode":"x","channels":[]}}`, "hold 'mode' must be set to either 'response' or 'stream'"},
		{`{"hold":{"mode":null,"channels":[]}}`, "hold contains 'mode' with wrong type"},
		{`{"hold":{"channels":{}}}`, "hold contains 'channels' with wrong type"},
		{`{"hold":{"channels":["c"]}}`, "channel is not an object"},
		{`{"hold":{"channels":[{}]}}`, "channel does not contain 'name'"},
		{`{"hold":{"channels":[{"name":"c","prev-id":5}]}}`, "channel contains 'prev-id' with wrong type"},
		{`{"hold":{"channels":[{"name":"c","filters":[1]}]}}`, "filters contains value with wrong type"},
		{`{"hold":{"channels":[{"name":"c","filters":["","","","","",""]}]}}`, "too many filters for channel 'c'"},
		{`{"hold":{"channels":[],"timeout":-1}}`, "hold contains 'timeout' with invalid value"},
		{`{"hold":{"channels":[],"timeout":true}}`, "hold contains 'timeout' with wrong type"},
		{`{"hold":{"channels":[],"timeout":1e300}}`, "hold contains 'timeout' with wrong type"},
		{`{"hold":{"channels":[],"keep-alive":{"content":1}}}`, "keep-alive contains 'content' with wrong type"},
		{`{"hold":{"channels":[],"meta":{"a":1}}}`, "'meta' contains 'a' with wrong type"},
		{`{"response":1}`, "instruct contains 'response' with wrong type"},
		{`{"response":{"code":1000}}`, "response contains 'code' with invalid value"},
		{`{"response":{"headers":[["a"]]}}`, "headers contains list with wrong number of elements"},
	} {
		in, resp, err := ParseInstructJSON([]byte(tt.body), nil)
		if in != nil || resp != nil || !errors.Is(err, Reason(tt.reason)) {
			t.Errorf("%s: got %v, %v, %v; want the reason %q", tt.body, in, resp, err, tt.reason)
		}
	}
	if _, _, err := ParseInstructJSON([]byte(`{}`), header("Grip-Hold: x")); err == nil {
		t.Error("a bad header beside a good body was accepted")
	}
}

// There is no encoder for instruct bodies, as nothing here sends one. What is
// accepted must be within the limits.
func FuzzParseInstructJSON(f *testing.F) {
	f.Add([]byte(`{"hold":{"mode":"stream","channels":[{"name":"c","prev-id":"5","filters":["skip-self"]}],"timeout":55,"keep-alive":{"content":"x"},"meta":{"user":"u1"}},"response":{"code":200,"headers":{"K":"V"},"body":"t"}}`))
	f.Add([]byte(`{"response":{"headers":[["K","V"]],"body-bin":"AAH/"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, resp, err := ParseInstructJSON(body, nil)
		if err != nil {
			return
		}
		if len(in.Channels) > MaxChannels || in.Timeout < 0 || resp.Status < 0 || resp.Status > maxStatus {
			t.Errorf("out of bounds: %+v, %+v", in, resp)
		}
		for _, c := range in.Channels {
			if len(c.Filters) > MaxFilters {
				t.Errorf("channel %q has %d filters", c.Name, len(c.Filters))
			}
		}
	})
}
