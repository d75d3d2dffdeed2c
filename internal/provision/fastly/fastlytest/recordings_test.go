package fastlytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const fixtures = "../../../../testdata/fastly-api"

func recordings(t *testing.T) []Recording {
	t.Helper()
	all, err := Recordings(os.DirFS(fixtures))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 130 {
		t.Fatalf("there are only %d recordings", len(all))
	}
	return all
}

// notImitated lists recordings of endpoints that neither setup nor what comes
// after it ever calls; they are kept for the shapes of their bodies.
var notImitated = map[string]string{
	"errors/400-bad-request-detail": "access control lists belong to VCL services",
	"errors/404-jsonapi":            "setup makes no TLS subscriptions; kept for the media type",
	"errors/404-problem-json":       "alerts; kept for the media type",
	"errors/409-already-enabled":    "log tailing; kept for the wording",
	"errors/409-duplicate-record":   "logging endpoints; the same body is imitated for backends, domains and links",
}

// TestRecordings sends every recorded request to a Server whose account is such
// that it can be answered, and compares the answer with the recorded one: status,
// headers, and the members of the body with their types.
func TestRecordings(t *testing.T) {
	for _, r := range recordings(t) {
		t.Run(r.Name, func(t *testing.T) {
			if reason, ok := notImitated[r.Name]; ok {
				t.Skip(reason)
			}
			st := newStage(r)
			got := st.play(t)
			compareAnswer(t, r, got)
		})
	}
}

func compareAnswer(t *testing.T, r Recording, got *httptest.ResponseRecorder) {
	t.Helper()
	want := r.Response
	if got.Code != want.Status {
		t.Fatalf("status %d, recorded %d; body %s", got.Code, want.Status, got.Body)
	}
	for name := range want.Headers {
		if len(got.Header().Values(name)) == 0 {
			t.Errorf("header %s is missing", name)
		}
	}
	for _, name := range []string{"Content-Type", "Link", "Fastly-RateLimit-Remaining", "Fastly-RateLimit-Reset"} {
		recorded, present := want.Headers[name]
		if !r.Source.Recorded {
			break // what a constructed example leaves out proves nothing
		}
		has := got.Header().Get(name)
		if (has != "") != present {
			t.Errorf("header %s is %q, recorded %q", name, has, recorded)
		}
		if name == "Content-Type" && has != recorded {
			t.Errorf("Content-Type %q, recorded %q", has, recorded)
		}
	}
	if name := "Link"; want.Headers[name] != got.Header().Get(name) {
		t.Errorf("Link %q, recorded %q", got.Header().Get(name), want.Headers[name])
	}
	if want.Headers["Content-Type"] != jsonType {
		if (got.Body.Len() == 0) != (len(Bytes(want.Body)) == 0) {
			t.Errorf("body %q, recorded %q", got.Body, want.Body)
		}
		return
	}
	if len(Bytes(want.Body)) == 0 {
		if got.Body.Len() != 0 {
			t.Errorf("body %q, recorded none", got.Body)
		}
		return
	}
	var a, b any
	if err := json.Unmarshal(got.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want.Body, &b); err != nil {
		t.Fatal(err)
	}
	for _, d := range differences("body", a, b, r.Source.Trimmed) {
		t.Error(d)
	}
}

// differences compares members and types, not values.
func differences(at string, got, want any, trimmed bool) []string {
	var all []string
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, recorded an object", at, got)}
		}
		if trimmed && w["trimmed"] == true {
			return nil
		}
		if g, w := slices.Sorted(maps.Keys(g)), slices.Sorted(maps.Keys(w)); !slices.Equal(g, w) {
			all = append(all, fmt.Sprintf("%s has members\n%v, recorded\n%v", at, g, w))
		}
		for k := range w {
			if v, ok := g[k]; ok {
				all = append(all, differences(at+"."+k, v, w[k], trimmed)...)
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, recorded an array", at, got)}
		}
		if len(g) != len(w) && (!trimmed || len(g) < len(w)) {
			return []string{fmt.Sprintf("%s has %d elements, recorded %d", at, len(g), len(w))}
		}
		for i := range w {
			all = append(all, differences(fmt.Sprintf("%s[%d]", at, i), g[i], w[i], trimmed)...)
		}
	default:
		if g, w := fmt.Sprintf("%T", got), fmt.Sprintf("%T", want); g != w {
			all = append(all, fmt.Sprintf("%s is %s (%v), recorded %s", at, g, got, w))
		}
	}
	return all
}

// stage is a Server in the making and the request to send to it.
type stage struct {
	r       Recording
	opt     Options
	account Account
	key     string
	kind    string
	body    []byte
	after   []func(*Server) error
	service *Service
	version *Version
	last    string // last segment of the path
}

var longAgo = time.Date(2025, 3, 5, 16, 46, 11, 0, time.UTC)

func newStage(r Recording) *stage {
	st := &stage{r: r, key: "test", kind: r.Request.Headers["Content-Type"], body: Bytes(r.Request.Body)}
	st.opt.Tokens = []Token{{Value: "test", Name: "test", Sudo: longAgo.Add(time.Hour), Created: longAgo}}
	st.opt.Now = func() time.Time { return longAgo }
	parts := strings.Split(strings.Trim(r.Request.Path, "/"), "/")
	st.last = parts[len(parts)-1]
	for i, p := range parts[:len(parts)-1] {
		switch {
		case p == "service" || p == "services":
			if st.last != "search" {
				st.addService(parts[i+1])
			}
		case p == "version":
			st.version.Number, _ = strconv.Atoi(parts[i+1])
		}
	}
	if st.kind == "multipart/form-data; boundary=BOUNDARY" {
		st.body = multipartBody(samplePackage("test-package"))
	}
	dir, name, _ := strings.Cut(r.Name, "/")
	st.seed(dir, name, parts)
	return st
}

func (st *stage) addService(id string) {
	kind := VCL
	for _, part := range []string{"compute", "package", "products", "product_enablement"} {
		if strings.Contains(st.r.Source.Cassette, part) {
			kind = Wasm
		}
	}
	st.service = &Service{ID: id, Name: "service of " + id, Type: kind, Created: longAgo, Updated: longAgo}
	st.version = &Version{Number: 1, Created: longAgo, Updated: longAgo}
	st.service.Versions = []*Version{st.version}
	st.account.Services = append(st.account.Services, st.service)
}

// play sends the request.
func (st *stage) play(t *testing.T) *httptest.ResponseRecorder {
	t.Helper()
	s := New(st.opt)
	s.Change(func(a *Account) {
		st.account.Tokens = append(st.account.Tokens, a.Tokens...)
		*a = st.account
	})
	for _, f := range st.after {
		if err := f(s); err != nil {
			t.Fatal(err)
		}
	}
	target := st.r.Request.Path
	if st.r.Request.Query != "" {
		target += "?" + st.r.Request.Query
	}
	req := httptest.NewRequest(st.r.Request.Method, target, bytes.NewReader(st.body))
	for name, value := range st.r.Request.Headers {
		req.Header.Set(name, value)
	}
	if st.kind != "" {
		req.Header.Set("Content-Type", st.kind)
	}
	req.Header.Set("Fastly-Key", st.key)
	req.Header.Set("User-Agent", "test/1")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	return w
}

func multipartBody(content []byte) []byte {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary("BOUNDARY")
	part, _ := w.CreateFormFile("package", "package.tar.gz")
	_, _ = part.Write(content)
	_ = w.Close()
	return b.Bytes()
}

// TestReplayIsByteForByte shows that Replay gives back what was recorded and
// notices another request.
func TestReplayIsByteForByte(t *testing.T) {
	for _, r := range recordings(t) {
		var complaints []string
		h := Replay(r, func(f string, args ...any) { complaints = append(complaints, fmt.Sprintf(f, args...)) })
		req := httptest.NewRequest(r.Request.Method, r.Request.Path+"?"+r.Request.Query, bytes.NewReader(Bytes(r.Request.Body)))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		body, _ := io.ReadAll(w.Body)
		if w.Code != r.Response.Status || !bytes.Equal(body, Bytes(r.Response.Body)) {
			t.Errorf("%s: played %d %s", r.Name, w.Code, body)
		}
		if len(complaints) > 0 {
			t.Errorf("%s: complains about the recorded request: %v", r.Name, complaints)
		}
		other := httptest.NewRequest(http.MethodGet, "/other", nil)
		h.ServeHTTP(httptest.NewRecorder(), other)
		if len(complaints) == 0 {
			t.Errorf("%s: does not notice another request", r.Name)
		}
	}
}
