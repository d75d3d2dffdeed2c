package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// sent is what an endpoint got.
type sent struct {
	path, auth string
	body       []byte
}

// endpointT answers each request with one answer, and notes the request.
func endpointT(t *testing.T, status int, media, answer string) (address string, got *sent) {
	t.Helper()
	got = &sent{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.path, got.auth = r.URL.RequestURI(), r.Header.Get("Authorization")
		got.body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), got
}

func TestGripURLs(t *testing.T) {
	address, got := endpointT(t, 200, "text/plain", "Published\n")
	for _, tt := range []struct{ url, path, auth string }{
		{"http://HOST", "/publish/", ""},
		{"http://HOST/", "/publish/", ""},
		{"http://HOST/?backend=grip-publisher", "/publish/", ""},
		{"http://HOST/service/abc?key=TOKEN&verify-iss=fastly:abc&verify-key=x", "/service/abc/publish/", "Bearer TOKEN"},
		{"http://HOST/service/abc/?key=a%2Bb%20c", "/service/abc/publish/", "Bearer a+b c"},
		{"http://HOST/?key=base64:cGUrZXI%3D", "/publish/", "Bearer pe+er"},
		{"http://HOST/?key=base64:YWJ+", "/publish/", "Bearer ab~"}, // the plus is not escaped
		{"http://user:pass@HOST/abc", "/abc/publish/", "Basic dXNlcjpwYXNz"},
		{"http://user:pass@HOST/abc?key=TOKEN", "/abc/publish/", "Bearer TOKEN"},
	} {
		target, err := ParseGripURL(strings.Replace(tt.url, "HOST", address, 1))
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		_, err = (&GripPublisher{Target: target}).Publish(t.Context(), GripItem{Channel: "c"})
		if err != nil || got.path != tt.path || got.auth != tt.auth {
			t.Errorf("%s: %s %q, %v", tt.url, got.path, got.auth, err)
		}
		if shown := fmt.Sprint(target); shown != "http://"+address+tt.path {
			t.Errorf("prints as %s", shown)
		}
	}
}

func TestGripURLWithIssuer(t *testing.T) {
	address, got := endpointT(t, 200, "application/json", `{"message":"Published"}`)
	for _, key := range []string{"key=s%2Bcret", "key=base64:cytjcmV0"} {
		target, err := ParseGripURL("http://" + address + "/?iss=me&" + key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&GripPublisher{Target: target}).Publish(t.Context(), GripItem{Channel: "c"}); err != nil {
			t.Fatal(err)
		}
		secret, err := grip.ParseKey("s+cret", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := grip.VerifySig(strings.TrimPrefix(got.auth, "Bearer "), secret, "me", time.Now()); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestGripURLsRefused(t *testing.T) {
	for _, text := range []string{
		"", "localhost:5561", "ftp://h/", "http:///x", "http://h/?key=%zz", "http://h/?iss=s3cret",
		"http://h/?key=base64:s3cret!", "http://h/?iss=a&key=base64:s3cret!", "http://h/?iss=a&key=file:s3cret", "http://s3cret:%zz@h/",
	} {
		target, err := ParseGripURL(text)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v, %v", text, target, err)
		}
	}
}

func TestServiceTarget(t *testing.T) {
	address, got := endpointT(t, 200, "text/plain", "Published\n")
	target, err := ServiceTarget("http://"+address+"/", "a/b", "TOKEN")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&GripPublisher{Target: target}).Publish(t.Context(), GripItem{}); err != nil || got.path != "/service/a%2Fb/publish/" || got.auth != "Bearer TOKEN" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestGripItems(t *testing.T) {
	address, got := endpointT(t, 200, "text/plain", "Published\n")
	target, err := ParseGripURL("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		item GripItem
		want string
	}{
		{"every format", GripItem{Channel: "c", Body: []byte("hi")},
			`{"channel":"c","formats":{"http-response":{"body":"hi"},"http-stream":{"content":"hi"},"ws-message":{"content":"hi"}}}`},
		{"bytes", GripItem{Channel: "c", Body: []byte{0xff}, Binary: true, Formats: []string{FormatMessage, FormatStream}},
			`{"channel":"c","formats":{"http-stream":{"content-bin":"/w=="},"ws-message":{"content-bin":"/w=="}}}`},
		{"an answer", GripItem{Channel: "c", ID: "6", PrevID: "5", NoSeq: true, Meta: map[string]string{"sender": "u"}, Formats: []string{FormatResponse},
			Body: []byte("{}"), Code: 201, Reason: "Made", Header: [][2]string{{"Content-Type", "application/json"}}},
			`{"channel":"c","id":"6","prev-id":"5","formats":{"http-response":{"code":201,"reason":"Made","headers":[["Content-Type","application/json"]],"body":"{}"}},"meta":{"sender":"u"},"no-seq":true}`},
		{"hint", GripItem{Channel: "c", Action: GripHint}, `{"channel":"c","formats":{"http-response":{"action":"hint"},"http-stream":{"action":"hint"}}}`},
		{"close", GripItem{Channel: "c", Action: GripClose, Code: 4001, Reason: "gone"},
			`{"channel":"c","formats":{"http-stream":{"action":"close"},"ws-message":{"action":"close","code":4001,"reason":"gone"}}}`},
		{"refresh", GripItem{Channel: "c", Action: GripRefresh}, `{"channel":"c","formats":{"ws-message":{"action":"refresh"}}}`},
	} {
		if _, err := (&GripPublisher{Target: target}).Publish(t.Context(), tt.item); err != nil || string(got.body) != `{"items":[`+tt.want+`]}` {
			t.Errorf("%s: %s, %v", tt.name, got.body, err)
		}
	}
}

func TestGripRefusals(t *testing.T) {
	for _, tt := range []struct {
		status              int
		media, answer, code string
		retryable           bool
	}{
		{401, "text/plain", "Unauthorized", "auth.refused", false},
		{403, "text/plain", "", "auth.refused", false},
		{404, "text/plain", "Not Found", "not_found.no_route", false},
		{405, "text/plain", "", "not_found.no_route", false},
		{400, "text/plain", "Invalid format: no formats specified", "api.bad_request", false},
		{400, "text/plain", "Request body too large.", "api.too_large", false},
		{413, "text/plain", "", "api.too_large", false},
		{429, "text/plain", "", "api.server_error", true},
		{503, "text/plain", "", "api.server_error", true},
		{302, "text/plain", "", "api.bad_request", false},
		{200, "text/html; charset=utf-8", "<p>Welcome", "api.platform", false},
	} {
		address, _ := endpointT(t, tt.status, tt.media, tt.answer)
		target, err := ParseGripURL("http://" + address + "/?key=s3cret-key")
		if err != nil {
			t.Fatal(err)
		}
		_, err = (&GripPublisher{Target: target}).Publish(t.Context(), GripItem{Channel: "c"})
		var e *Error
		if !errors.As(err, &e) || e.Code() != tt.code || e.Retryable != tt.retryable || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%d %q: %v", tt.status, tt.answer, err)
		}
	}
	target, err := ParseGripURL("http://127.0.0.1:1/?key=s3cret-key")
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err = (&GripPublisher{Target: target}).Publish(t.Context(), GripItem{}); !errors.As(err, &e) || e.Code() != "network.refused" {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = (&GripPublisher{Target: target}).Publish(ctx, GripItem{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
