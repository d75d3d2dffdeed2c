package origin

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestG24ParseRoute(t *testing.T) {
	r, err := ParseRoute(`Example.COM,id=a,path_beg=/p,replace_beg=/q,prefix="a b,",sig_iss=me,"sig_key=k=\"x\\",debug,header=X-A:b ` +
		`localhost:80,over_http,ssl,host=h:1,insecure,sub=s,sub=t,one_event [::1]:81 # why`)
	if err != nil {
		t.Fatal(err)
	}
	if r.Domain != "example.com" || r.ID != "a" || r.pathBeg != "/p" || r.pathRem != 2 || r.pathAdd != "/q" || r.prefix != "a b," ||
		r.sigIssuer != "me" || r.sigKey.Alg() != "HS256" || !r.debug || fmt.Sprint(r.headers) != "[{X-A b}]" || len(r.Warnings) != 0 {
		t.Errorf("read %+v", r)
	}
	want := target{address: "localhost:80", host: "h:1", subs: []string{"s", "t"}, overHTTP: true, ssl: true, insecure: true, oneEvent: true}
	if fmt.Sprintf("%+v", r.targets[0]) != fmt.Sprintf("%+v", want) || r.targets[1].address != "[::1]:81" || len(r.targets) != 2 {
		t.Errorf("read targets %+v", r.targets)
	}
	if s := r.String(); strings.Contains(s, "me") || !strings.Contains(s, "example.com id=a path_beg=/p -> localhost:80 [::1]:81") {
		t.Errorf("named %q", s)
	}
}

func TestRoutesThatAreNone(t *testing.T) {
	for line, want := range map[string]string{
		"*": "needs a condition and a target", "* ": "needs a condition", "* # localhost:1": "needs a condition", "* nowhere": "host:port",
		"* h:0": "port", "* h:99999": "port", "* :80": "host:port", "path_beg=/x h:1": "neither a domain nor an id", `"* h:1`: "quote",
		"*,ssl=maybe h:1": "ssl", "*,proto=ftp h:1": "proto", "*,path_rem=-1 h:1": "path_rem", "*,header=x h:1": "Name:Value",
		"* h:1,client_cert=x": "client certificates", "*,sig_iss=x h:1": "sig_key", "*,sig_key=base64:% h:1": "base64", `*,"header=X:a` + "\x01" + `" h:1`: "Name:Value",
	} {
		if r, err := ParseRoute(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", line, r, err, want)
		}
	}
}

func TestParseRoutesTellsFaultsWithoutKeys(t *testing.T) {
	routes, faults := ParseRoutes([]byte("# comment\n\n* h:1\nx,sig_key=secret nowhere\r\nid=self localhost:7676,over_http,host=localhost:7676\n*,session,sockjs,jsonp_mode=x h:2"))
	if len(routes) != 3 || len(faults) != 1 || faults[0].Line != 4 || strings.Contains(faults[0].Error(), "secret") || !strings.Contains(faults[0].Error(), "nowhere") {
		t.Errorf("read %v, faults %v", routes, faults)
	}
	if w := routes[2].Warnings; len(w) != 3 || !strings.Contains(w[0], "session") {
		t.Errorf("warned %q", w)
	}
}

// find builds a table and tells which route's first target is chosen.
func find(t *testing.T, q asked, lines ...string) string {
	t.Helper()
	var all []*backend
	for _, line := range lines {
		r, err := ParseRoute(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &backend{route: r})
	}
	if b := newTable(all, slog.New(slog.DiscardHandler)).find(q); b != nil {
		return b.route.targets[0].address
	}
	return ""
}

func TestRouteSelection(t *testing.T) {
	all := []string{
		"* any:1", "a.example a:1", "a.example,path_beg=/x x:1", "a.example,path_beg=/x/y y:1", "a.example,proto=ws ws:1", "a.example,ssl=yes ssl:1",
		"id=only only:1", "id=twice t:1", "id=twice t:2", "a.example later:1", "B.example,path_beg=/z z:1",
	}
	for want, q := range map[string]asked{
		"any:1": {host: "c.example"}, "a:1": {host: "A.example:80", path: "/"}, "x:1": {host: "a.example", path: "/xx"}, "y:1": {host: "a.example", path: "/x/y"},
		"ws:1": {host: "a.example", path: "/x/y", socket: true}, "ssl:1": {host: "a.example", path: "/", secure: true}, "only:1": {id: "only", byID: true},
	} {
		if got := find(t, q, all...); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	for _, q := range []asked{{id: "twice", byID: true}, {byID: true, host: "a.example"}, {host: "b.example", path: "/"}} {
		if got := find(t, q, all...); got != "" {
			t.Errorf("%+v: %s, want none", q, got)
		}
	}
}

func TestDomainOf(t *testing.T) {
	for host, want := range map[string]string{
		"A.Example:80": "a.example", "a": "a", "[::1]:80": "::1", "[::1]": "::1", "::1": "::1", "": "", ":80": "", "[": "",
	} {
		if got := domainOf(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

func TestRoutedDoesNotAllocate(t *testing.T) {
	p := New(Options{Log: slog.New(slog.DiscardHandler), RouteHeader: true}, nil)
	h := http.Header{"Accept": {"x"}}
	for _, host := range []string{"a.example:80", "a.example", "[::1]:80"} {
		if n := testing.AllocsPerRun(100, func() { p.Routed(host, "/events", h, false) }); n > 0 {
			t.Errorf("%s: %v allocations", host, n)
		}
	}
}

func TestG87Watch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("* a:1\n")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards told
		var told []string
		tell := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, text)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { // ends with ctx
			defer close(done)
			Watch(ctx, path, []byte("* a:1\n"), time.Second, func(r []*Route) { tell(fmt.Sprint(r)) }, func(err error) { tell(err.Error()) })
		}()
		step := func(want ...string) {
			t.Helper()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(told) != len(want) {
				t.Errorf("told %q, want %q", told, want)
			}
			for i := range min(len(told), len(want)) {
				if !strings.Contains(told[i], want[i]) {
					t.Errorf("told %q, want %q", told, want)
				}
			}
			told = nil
		}
		step()
		write("* b:2\n")
		step("* -> b:2")
		write("* b:2\n* nowhere\n")
		step("line 2: target \"nowhere\"")
		write("* b:2\n")
		step()
		_ = os.Remove(path)
		step("no such file")
		write("* c:3\n")
		step("* -> c:3")
		time.Sleep(time.Second - quiet/2) // it is being written when it is read
		write("* d")
		time.Sleep(quiet)
		write("* d:4\n")
		step("* -> d:4")
		cancel()
		<-done
	})
}

func TestG87ReloadKeepsConnections(t *testing.T) {
	r := newRig(t, kit, Options{}, "* ORIGIN,over_http")
	c := r.socket("/")
	r.proxy.SetRoutes(nil)
	if resp, body := r.do(get("/")); resp.StatusCode != 502 || body != "Route not found\n" {
		t.Errorf("answered %s %q", resp.Status, body)
	}
	c.frame(1, "x")
	c.want(1, "x")
}

// TestTLSTargets verifies the certificate of host=, or of the address.
func TestTLSTargets(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(kit))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate()) // for example.com and 127.0.0.1
	for _, c := range []struct {
		target string
		roots  *x509.CertPool
		ok     bool
	}{
		{"ssl", roots, true}, {"ssl,host=example.com:443", roots, true}, {"ssl,host=wrong.invalid", roots, false},
		{"ssl,host=wrong.invalid,trust_connect_host", roots, true}, {"ssl", x509.NewCertPool(), false}, {"ssl,insecure", nil, true},
	} {
		r := &rig{t: t, addr: srv.Listener.Addr().String(), log: new(logBook)}
		r.start(Options{Roots: c.roots, Debug: true}, "* ORIGIN,over_http,"+c.target)
		resp, body := r.do(get("/"))
		if ok := resp.StatusCode == 200; ok != c.ok || !ok && !strings.Contains(body, "Unable to connect to any targets") {
			t.Errorf("%s answered %s %q", c.target, resp.Status, body)
		}
	}
}

// TestLocalhostHasAllItsAddresses reaches a server on ::1 only.
func TestLocalhostHasAllItsAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(hello)}}
	srv.Start()
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r := &rig{t: t, addr: "localhost:" + port, log: new(logBook)}
	r.start(Options{}, "* ORIGIN")
	if resp, body := r.do(get("/")); resp.StatusCode != 200 {
		t.Errorf("answered %s %q", resp.Status, body)
	}
}
