package fastlytest

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Recording is one recorded exchange with the real API, as testdata/fastly-api
// keeps it; see the README there.
type Recording struct {
	// Name is the file's path without ".json": "backend/create".
	Name   string `json:"-"`
	Source struct {
		Cassette string `json:"cassette"`
		Recorded bool   `json:"recorded"`
		// Trimmed tells that a long list was cut.
		Trimmed bool `json:"trimmed"`
	} `json:"source"`
	Request struct {
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Query   string            `json:"query"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"response"`
}

// Recordings reads all recordings below a directory, ordered by name.
func Recordings(dir fs.FS) ([]Recording, error) {
	var all []Recording
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		r := Recording{Name: strings.TrimSuffix(name, ".json")}
		if err := json.Unmarshal(b, &r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// Bytes is a body as it went over the wire: text and forms are kept as JSON
// strings, an empty body as null.
func Bytes(body json.RawMessage) []byte {
	var text string
	switch {
	case len(body) == 0 || string(body) == "null":
		return nil
	case json.Unmarshal(body, &text) == nil:
		return []byte(text)
	}
	return body
}

// Replay answers every request with the recording's response, byte for byte,
// and calls wrong when the request is not the recorded one: another method, path
// or query, or another body where that is a form or JSON.
func Replay(r Recording, wrong func(format string, args ...any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(io.LimitReader(req.Body, maxPackage))
		if err != nil {
			wrong("%s: read request: %v", r.Name, err)
		}
		r.compare(req, body, wrong)
		a := answer{r.Response.Status, http.Header{}, Bytes(r.Response.Body)}
		for name, value := range r.Response.Headers {
			a.header.Set(name, value)
		}
		if len(a.header["Content-Type"]) == 0 {
			w.Header()["Content-Type"] = nil
		}
		for name, values := range a.header {
			w.Header()[name] = values
		}
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
	})
}

func (r Recording) compare(req *http.Request, body []byte, wrong func(string, ...any)) {
	if req.Method != r.Request.Method || req.URL.Path != r.Request.Path {
		wrong("%s: the request is %s %s, not %s %s", r.Name, req.Method, req.URL.Path, r.Request.Method, r.Request.Path)
	}
	if got, want := req.URL.Query().Encode(), normalForm(r.Request.Query); got != want {
		wrong("%s: the query is %s, not %s", r.Name, got, want)
	}
	want := Bytes(r.Request.Body)
	if len(want) == 0 {
		return
	}
	switch kind := r.Request.Headers["Content-Type"]; {
	case kind == "application/x-www-form-urlencoded" && strings.Contains(string(want), "="):
		if got := normalForm(string(body)); got != normalForm(string(want)) {
			wrong("%s: the form is %s, not %s", r.Name, got, want)
		}
	case kind == jsonType:
		if got, want := normalJSON(body), normalJSON(want); got != want {
			wrong("%s: the body is %s, not %s", r.Name, got, want)
		}
	}
}

func normalForm(s string) string {
	v, err := url.ParseQuery(s)
	if err != nil {
		return s
	}
	return v.Encode()
}

func normalJSON(b []byte) string {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return string(b)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(b)
	}
	return string(out)
}
