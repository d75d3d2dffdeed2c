package fanout

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// Transcript 04: the reason phrase of an origin or a publisher reaches the client.
func TestReasonPhrases(t *testing.T) {
	h := handlerFunc(func(_ context.Context, r *Request) (*Response, error) {
		switch r.Path {
		case "/lp":
			return longPoll(""), nil
		case "/stream":
			return &Response{Status: 202, Reason: "Fine\r\nX-Evil: 1", Header: http.Header{"X": {"y"}}, Stream: io.NopCloser(strings.NewReader("body"))}, nil
		}
		return &Response{Status: 201, Reason: "Made", Header: http.Header{"X": {"y"}}, Body: []byte("body")}, nil
	})
	for _, portable := range []bool{false, true} {
		e, srv := serve(t, Options{Portable: portable, NoFirstUpdate: true}, h, plainText)
		for request, want := range map[string]string{
			"GET /":       "HTTP/1.1 201 Made\r\nX: y\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
			"HEAD /":      "HTTP/1.1 201 Made\r\nX: y\r\nContent-Length: 4\r\nConnection: close\r\n\r\n",
			"GET /stream": "HTTP/1.1 202 Fine  X-Evil: 1\r\nX: y\r\nConnection: close\r\n\r\nbody",
		} {
			_, in := exchange(t, srv, request+" HTTP/1.1\r\nHost: h\r\n\r\n")
			if got, err := io.ReadAll(in); string(got) != want || err != nil {
				t.Errorf("%s: %q, %v; want %q", request, got, err, want)
			}
		}
		for reason, want := range map[string]string{"Yay": "HTTP/1.1 201 Yay\r\n", "": "HTTP/1.1 201 Created\r\n", "Created": "HTTP/1.1 201 Created\r\n"} {
			_, in := exchange(t, srv, "GET /lp HTTP/1.1\r\nHost: h\r\n\r\n")
			it := answerItem("x")
			it.HTTPResponse.Code, it.HTTPResponse.Reason = 201, reason
			publishSoon(t, e, it)
			line, _ := in.ReadString('\n')
			rest := head(t, in)
			if line != want || strings.Contains(rest, "Connection: close") != (reason == "Yay") {
				t.Errorf("reason %q: %q\n%s", reason, line, rest)
			}
		}
	}
}

func TestUnknownCodeHasAReason(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		p := r.s.newPoll(&asked{}, longPoll(""))
		resp := p.merge(longPoll(""), outcome{release: &grip.HTTPResponse{Code: 299}})
		if resp.reason() != "Undefined Reason" {
			t.Errorf("reason %q", resp.reason())
		}
	})
}
