package fastlytest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
)

// FuzzHandler: whatever is sent, the Server answers, and never with its own
// failure.
func FuzzHandler(f *testing.F) {
	all, err := Recordings(os.DirFS(fixtures))
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range all {
		st := newStage(r)
		f.Add(r.Request.Method, r.Request.Path+"?"+r.Request.Query, st.kind, st.body)
	}
	f.Fuzz(func(t *testing.T, method, target, kind string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Path == "" || u.Path[0] != '/' {
			t.Skip(err)
		}
		s := New(Options{Tokens: []Token{{Value: DefaultToken, Sudo: longAgo.AddDate(100, 0, 0)}}})
		s.Change(exampleOf(u.Path))
		req := &http.Request{
			Method: method, URL: u, Host: "x", Header: http.Header{"Content-Type": {kind}, "Fastly-Key": {DefaultToken}},
			Body: http.NoBody, ContentLength: int64(len(body)), RequestURI: target,
		}
		if len(body) > 0 {
			req.Body = io.NopCloser(bytes.NewReader(body))
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, req)
		if w.Code < 200 || w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
	})
}

// exampleOf makes a service and a store of each kind with the ids that a path
// names, so that the request gets somewhere.
func exampleOf(path string) func(*Account) {
	return func(a *Account) {
		p := placeIn(path)
		a.Services = []*Service{{ID: p["service"], Type: Wasm, Versions: []*Version{{Number: 1}}}}
		a.ConfigStores = []*ConfigStore{{ID: p["config"]}}
		a.KVStores = []*KVStore{{ID: p["kv"], Items: map[string]*KVItem{"apple": {}}}}
		a.SecretStores = []*SecretStore{{ID: p["secret"]}}
	}
}

// placeIn has the segment that follows each segment of a path.
func placeIn(path string) map[string]string {
	place, last := map[string]string{}, ""
	for _, part := range bytes.Split([]byte(path), []byte("/")) {
		place[last], last = string(part), string(part)
	}
	return place
}
