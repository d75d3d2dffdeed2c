package cmd

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The line that puts an origin behind the relay, with the address of one.
func TestReadmeOrigin(t *testing.T) {
	signed := make(chan bool, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signed <- r.Header.Get("Grip-Sig") != ""
		_, _ = io.WriteString(w, "from the origin\n")
	}))
	defer origin.Close()
	words := readmeWords(t, "origin")
	for i, w := range words {
		words[i] = strings.Replace(w, "localhost:8000", strings.TrimPrefix(origin.URL, "http://"), 1)
	}
	served := begin(t, "", nil, append(words, "--listen", freePort, "--control", freePort, "--json")...)
	served.out.await(t, `"type":"ready".*\n`)
	line, _ := served.out.look()
	var ready struct{ Hub string }
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ready.Hub+"/any/path", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "from the origin\n" || !<-signed {
		t.Errorf("%s %q, %v", resp.Status, body, err)
	}
}
