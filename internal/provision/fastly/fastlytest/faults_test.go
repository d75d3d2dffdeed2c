package fastlytest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// overHTTP is a Server behind a real listener, where connections can be cut.
func overHTTP(t *testing.T, o Options) (*Server, func(method, path, kind, body string) (int, string, error)) {
	t.Helper()
	s := New(o)
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return s, func(method, path, kind, body string) (int, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Fastly-Key", DefaultToken)
		req.Header.Set("Content-Type", kind)
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
}

func TestFaults(t *testing.T) {
	cases := []struct {
		fault  Fault
		status int
		cut    bool // the client sees an error
		effect bool // the service is there afterwards
	}{
		{Fault{Kind: Status, Status: 500, Body: `{"msg":"no"}`}, 500, false, false},
		{Fault{Kind: HTML503}, 503, false, false},
		{Fault{Kind: RateLimit, Delay: 3 * time.Second}, 429, false, false},
		{Fault{Kind: Timeout, Delay: time.Millisecond}, 0, true, false},
		{Fault{Kind: Reset}, 0, true, false},
		{Fault{Kind: AfterEffect}, 0, true, true},
		{Fault{Kind: Truncate}, 200, true, true},
		{Fault{Kind: Slow, Delay: time.Millisecond}, 200, false, true},
	}
	for _, c := range cases {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			s, do := overHTTP(t, Options{})
			c.fault.Match = Match{Method: "POST", Path: "^/service$"}
			if err := s.Fault(c.fault); err != nil {
				t.Fatal(err)
			}
			status, body, err := do("POST", "/service", formType, "name=chat")
			if status != c.status || (err != nil) != c.cut {
				t.Errorf("%d %s %v; want %d, cut %v", status, body, err, c.status, c.cut)
			}
			if got := s.Snapshot().Service("chat") != nil; got != c.effect {
				t.Errorf("effect %v, want %v", got, c.effect)
			}
			if got := s.Requests()[0]; got.Fault != c.fault.Kind || got.Status != map[bool]int{true: c.status}[c.status != 0] {
				t.Errorf("recorded as %+v", got)
			}
			if status, _, err := do("POST", "/service", formType, "name=next"); status != 200 || err != nil {
				t.Errorf("strikes again: %d %v", status, err)
			}
		})
	}
}

// TestTimeoutEndsWithTheClient: a held request does not outlive its client.
func TestTimeoutEndsWithTheClient(t *testing.T) {
	s := New(Options{})
	srv := httptest.NewServer(s.Handler())
	if err := s.Fault(Fault{Kind: Timeout}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/service", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	srv.Close() // waits for the handler
}

func TestFaultsCount(t *testing.T) {
	s := New(Options{})
	if err := s.Fault(Fault{Kind: Status, Status: 502, Match: Match{Method: "write", Path: "^/service", Nth: 2, Times: 2}}); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 5 {
		send(s, "GET", "/service", "", "")
		w, _ := send(s, "PUT", "/service/none", formType, "name=a")
		got = append(got, w.Code)
	}
	for i, want := range []int{404, 502, 502, 404, 404} {
		if got[i] != want {
			t.Errorf("write %d: %d, want %d", i+1, got[i], want)
		}
	}
	if s.Fault(Fault{Kind: "odd"}) == nil || s.Fault(Fault{Kind: Reset, Match: Match{Path: "("}}) == nil {
		t.Error("a fault that means nothing is accepted")
	}
}

func TestFaultsByHTTP(t *testing.T) {
	s := New(Options{})
	post := func(body string) int {
		w, _ := send(s, "POST", "/__fault", jsonType, body)
		return w.Code
	}
	for body, want := range map[string]int{
		`{"match":{"method":"GET","path_regex":"^/service","times":-1},"kind":"status","status":418,"body":"tea"}`: 204,
		`{"preset":"no-entitlement"}`: 204, `{"preset":"odd"}`: 400, `{"kind":"odd"}`: 400, `{"kinds":"reset"}`: 400,
	} {
		if got := post(body); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
	if w, _ := send(s, "POST", "/__fault", "text/plain", `{"preset":"no-entitlement"}`); w.Code != 415 {
		t.Errorf("as text: %d", w.Code)
	}
	for range 2 {
		if w, _ := send(s, "GET", "/service", "", ""); w.Code != 418 || w.Body.String() != "tea" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	send(s, "DELETE", "/__fault", "", "")
	if w, _ := send(s, "GET", "/service", "", ""); w.Code != 200 {
		t.Errorf("after clearing: %d", w.Code)
	}
}

func TestPresets(t *testing.T) {
	now := longAgo
	s := New(Options{Now: func() time.Time { return now }})
	v := "/service/" + newService(t, s) + "/version/"
	preset := func(text string) {
		t.Helper()
		if err := s.Preset(text); err != nil {
			t.Fatal(err)
		}
	}
	preset("429-until=+3s")
	run(t, s, step{"PUT", v + "1", formType, "comment=a", 429, "hourly rate limit"})
	now = now.Add(3 * time.Second)
	run(t, s, step{"PUT", v + "1", formType, "comment=a", 200, ""})

	preset("locked-draft")
	run(t, s,
		step{"PUT", v + "1", formType, "comment=b", 422, "locked"},
		step{"PUT", v + "1/clone", "", "", 200, ""},
		step{"PUT", v + "2", formType, "comment=b", 200, ""},
	)
	preset("moved-active")
	run(t, s,
		step{"PUT", v + "2", formType, "comment=c", 200, `"active":false`},
		step{"GET", v + "3", "", "", 200, `"active":true`},
		step{"PUT", v + "2", formType, "comment=d", 200, ""},
	)
	if n := len(s.Snapshot().Service("chat").Versions); n != 3 {
		t.Errorf("%d versions, want 3", n)
	}
	preset("quota-kv")
	run(t, s, step{"POST", "/resources/stores/kv", jsonType, `{"name":"a"}`, 403, "limit"})
	preset("clock-skew=10m")
	w, _ := send(s, "GET", "/service", "", "")
	if got := w.Header().Get("Date"); got != now.Add(10*time.Minute).Format(http.TimeFormat) {
		t.Errorf("Date %s", got)
	}
	for _, bad := range []string{"odd", "odd=3s", "429-until=soon", "domain-taken=x"} {
		if s.Preset(bad) == nil {
			t.Errorf("preset %s is accepted", bad)
		}
	}
}

// TestEdgeLearnsLate: with the preset eventual a change becomes visible later.
func TestEdgeLearnsLate(t *testing.T) {
	now := longAgo
	s := New(Options{Now: func() time.Time { return now }})
	deployExample(t, s)
	before := s.Deployed()
	if err := s.Preset("eventual=5s"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutKVItem(before.KeyStore, "k1", []byte("v"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := s.Deployed(); len(got.Keys) != 0 {
		t.Errorf("the edge knows at once: %v", got.Keys)
	}
	now = now.Add(5 * time.Second)
	if got := s.Deployed(); string(got.Keys["k1"]) != "v" || got.Serial == before.Serial {
		t.Errorf("the edge never learns: %v", got.Keys)
	}
}

// deployExample makes and activates a whole service, and returns its id.
func deployExample(t *testing.T, s *Server) string {
	t.Helper()
	id := newService(t, s)
	v := "/service/" + id + "/version/1"
	upload(t, s, v+"/package")
	ids := map[string]string{}
	for link, create := range map[string]step{
		"config": {"POST", "/resources/stores/config", formType, "name=c", 200, ""},
		"keys":   {"POST", "/resources/stores/kv", jsonType, `{"name":"k"}`, 201, ""}, "messages": {"POST", "/resources/stores/kv", jsonType, `{"name":"m"}`, 201, ""},
		"secrets": {"POST", "/resources/stores/secret", jsonType, `{"name":"s"}`, 201, ""},
	} {
		_, o := send(s, create.method, create.target, create.kind, create.body)
		ids[link] = o["id"].(string)
		run(t, s, step{"POST", v + "/resource", formType, "name=" + link + "&resource_id=" + ids[link], 200, ids[link]})
	}
	sealed, key := seal(s, DefaultToken, "publisher")
	run(t, s,
		step{"POST", v + "/domain", formType, "name=chat.edgecompute.app", 200, ""},
		step{"POST", v + "/backend", formType, "name=self&address=chat.edgecompute.app", 200, ""},
		step{"POST", v + "/backend", formType, "name=api&address=api.fastly.com", 200, ""},
		step{"PUT", "/enabled-products/v1/fanout/services/" + id, jsonType, "{}", 200, ""},
		step{"PUT", "/resources/stores/config/" + ids["config"] + "/item/sse", formType, "item_value=false", 200, ""},
		step{"PUT", "/resources/stores/secret/" + ids["secrets"] + "/secrets", jsonType, `{"name":"publish-token","secret":"` + sealed + `","client_key":"` + key + `"}`, 200, ""},
		step{"PUT", v + "/activate", "", "", 200, ""},
	)
	return id
}

func TestDeployed(t *testing.T) {
	s := New(Options{})
	if got := s.Deployed(); got.Service != "" {
		t.Errorf("there is %v before anything is active", got)
	}
	id := deployExample(t, s)
	d := s.Deployed()
	if d.Service != id || !d.Fanout || d.PublishToken != "publisher" || d.Config["sse"] != "false" ||
		d.Backends["api"] != "api.fastly.com" || d.KeyStore == "" || d.MessageStore == "" || d.Domains[0] != "chat.edgecompute.app" {
		t.Errorf("deployed: %+v", d)
	}
	s.Change(func(a *Account) { a.Services[0].Active().Link("keys").Name = "signing" })
	if got := s.Deployed(); got.KeyStore != "" || got.Serial == d.Serial {
		t.Errorf("after the link was renamed: %+v", got)
	}
	run(t, s, step{"PUT", "/service/" + id + "/version/1/deactivate", "", "", 200, ""})
	if got := s.Deployed(); got.Service != "" {
		t.Errorf("after deactivation: %+v", got)
	}
}
