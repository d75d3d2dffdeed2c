package fastlytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// seed makes the account such that the request of a recording can be answered
// as it was.
func (st *stage) seed(dir, name string, parts []string) {
	exists := st.r.Request.Method != "POST" // what the path names
	switch dir {
	case "backend":
		st.seedBackends(exists)
	case "domain":
		st.seedDomains()
	case "resource-link":
		st.seedLinks(name)
	case "version", "service":
		st.seedServices(name)
	case "package":
		if name == "get" {
			p, _ := readPackage(samplePackage("test-package"))
			p.WasmMetadata = nil // that recording is older than the member
			p.ClonedFrom = "https://example.com/kit"
			st.version.Package = p
		}
	case "product-fanout":
		st.service.Fanout = !strings.Contains(name, "not-enabled") && !strings.Contains(name, "enable.json")
	case "config-store", "config-store-item":
		st.seedConfig(name, parts)
	case "kv-store", "kv-item":
		st.seedKV(name, parts)
	case "secret-store", "secret":
		st.seedSecrets(name, parts)
	case "domain-versionless":
		st.seedCustomDomains(name)
	case "token", "automation-token":
		st.seedTokens(name)
	case "errors", "errors-constructed":
		st.seedErrors(name, parts)
	}
}

func backendOf(kind, form string) *Backend {
	v, _ := url.ParseQuery(form)
	b := &Backend{Fields: object{}, Created: longAgo, Updated: longAgo}
	_ = b.read(kind, v)
	return b
}

func (st *stage) seedBackends(exists bool) {
	if !exists {
		return
	}
	form := "name=" + st.last + "&address=integ-test.go-fastly.com&override_host=origin.example.com&ssl_sni_hostname=a.example.com&ssl_ciphers=A"
	switch {
	case strings.HasPrefix(st.r.Name, "backend/list"):
		form = strings.Replace(form, "name="+st.last, "name=test-backend", 1) + "&max_lifetime=60000&max_use=100"
	case strings.Contains(st.r.Name, "/update-"):
		form += "&share_key=shared-key"
	}
	b := backendOf(st.service.Type, form)
	if strings.Contains(st.r.Name, "update-no-fields") { // follows the clearing of the override host
		st.copyBackend(b)
	}
	st.version.Backends = append(st.version.Backends, b)
}

// copyBackend gives a backend the nulls of the recorded one.
func (st *stage) copyBackend(b *Backend) {
	var recorded object
	_ = json.Unmarshal(st.r.Response.Body, &recorded)
	for name, v := range recorded {
		if _, ok := b.Fields[name]; ok && v == nil {
			b.Fields[name] = nil
		}
	}
}

func (st *stage) seedDomains() {
	add := func(name string) {
		st.version.Domains = append(st.version.Domains, &Domain{Name: name, Comment: "comment", Created: longAgo, Updated: longAgo})
	}
	switch name := strings.TrimPrefix(st.r.Name, "domain/"); name {
	case "create":
	case "list", "check-all":
		add("a.example.com")
		add("b.example.com")
	case "check":
		parts := strings.Split(st.r.Request.Path, "/")
		add(parts[len(parts)-2])
	default:
		add(st.last)
	}
}

func (st *stage) seedLinks(name string) {
	st.account.KVStores = []*KVStore{{ID: "2dem3bjbpie7k1vyy70fh5", Name: "kv", Items: map[string]*KVItem{}}}
	if name != "create" {
		st.version.Links = []*Link{{ID: "rn6c7YSyRxBJMejpyvoQa1", Name: "keys", StoreID: "2dem3bjbpie7k1vyy70fh5", Created: longAgo, Updated: longAgo}}
	}
}

func (st *stage) seedServices(name string) {
	switch {
	case name == "search":
		st.addService("FPkmJNp1fH8CnWbdi21Wf3")
		st.service.Name = "test-service"
	case strings.HasPrefix(name, "list-page"):
		for i := range 250 {
			st.addService(fmt.Sprint("service", i))
		}
	case st.r.Name == "version/list":
		st.service.Versions = []*Version{{Number: 1}, {Number: 2}, {Number: 3}}
	case strings.HasPrefix(name, "activate"):
		st.version.Backends = []*Backend{backendOf(VCL, "name=a&address=b.example.com")}
		st.version.Warning = "Warning: No default director found"
		if name == "activate-with-warning" { // recorded later, when environments existed
			st.service.Type = Wasm
			st.version.Package = &Package{}
		}
	case name == "clone-compute":
		st.service.Type = Wasm
	}
}

func (st *stage) seedConfig(name string, parts []string) {
	add := func(id, name string) *ConfigStore {
		s := &ConfigStore{ID: id, Name: name, Created: longAgo, Updated: longAgo}
		st.account.ConfigStores = append(st.account.ConfigStores, s)
		return s
	}
	if len(parts) > 3 {
		s := add(parts[3], "config")
		switch {
		case name == "list-items":
			for i := range 5 {
				s.Items = append(s.Items, &ConfigItem{Key: fmt.Sprint(i), Created: longAgo, Updated: longAgo})
			}
		case name == "get-item" || name == "delete-item":
			s.Items = append(s.Items, &ConfigItem{Key: st.last, Created: longAgo, Updated: longAgo})
		}
	}
	if name == "list" || name == "list-by-name" {
		for i := range 5 {
			add(fmt.Sprint("id", i), fmt.Sprintf("TestClient_ListConfigStores-%02d", i))
		}
	}
}

func (st *stage) seedKV(name string, parts []string) {
	if name == "list" && len(parts) == 3 {
		st.account.KVStores = []*KVStore{{ID: "a", Name: "my-store", Created: longAgo}}
		return
	}
	if len(parts) < 4 {
		return
	}
	s := &KVStore{ID: parts[3], Name: "kv-store-test-store", Created: longAgo, Items: map[string]*KVItem{}}
	st.account.KVStores = []*KVStore{s}
	if name == "insert" || len(parts) == 4 {
		return
	}
	for _, key := range []string{"apple", "banana", "batch-1", "batch-2", "carrot", "dragonfruit", "eggplant"} {
		s.Items[key] = &KVItem{Value: []byte("value"), Metadata: "meta", Generation: 1}
	}
}

func (st *stage) seedSecrets(name string, parts []string) {
	add := func(id, name string) *SecretStore {
		s := &SecretStore{ID: id, Name: name, Created: longAgo}
		st.account.SecretStores = append(st.account.SecretStores, s)
		return s
	}
	if len(parts) > 3 {
		s := add(parts[3], "secrets")
		switch name {
		case "list":
			for i := range 5 {
				s.Secrets = append(s.Secrets, &Secret{Name: fmt.Sprint(i), Digest: []byte("digest"), Created: longAgo})
			}
		case "get", "delete":
			s.Secrets = append(s.Secrets, &Secret{Name: st.last, Digest: []byte("digest"), Created: longAgo})
		case "recreate-patch":
			s.Secrets = append(s.Secrets, &Secret{Name: "TestClient_RecreateSecret"})
		case "create-encrypted":
			st.after = append(st.after, st.encrypt)
		}
		return
	}
	if strings.HasPrefix(name, "list") {
		for i := range 5 {
			add(fmt.Sprint("id", i), fmt.Sprintf("TestClient_ListSecretStores-%02d", i))
		}
	}
}

func (st *stage) seedCustomDomains(name string) {
	text := "my description"
	d := &CustomDomain{ID: st.last, Name: "fastly-sdk-gofastly-testing.com", Description: &text, Created: longAgo, Updated: longAgo}
	if q, _ := url.ParseQuery(st.r.Request.Query); q.Has("fqdn") {
		d.Name = q.Get("fqdn")
	}
	switch {
	case strings.HasSuffix(name, "duplicate"):
		d.Name = "1.fastly-sdk-gofastly-testing.com"
	case strings.HasSuffix(name, "create"):
		return
	case strings.HasSuffix(name, "update"):
		st.addService("kKJb5bOFI47uHeBVluGfX1")
	}
	st.account.CustomDomains = []*CustomDomain{d}
}

// recordedTokens makes tokens like those of a recorded list.
func recordedTokens(body json.RawMessage) []*Token {
	type recorded struct {
		Scope, Scopes any
		Services      []string
		Name, IP      string
		Agent         string     `json:"user_agent"`
		Used          *time.Time `json:"last_used_at"`
		Expires       *time.Time `json:"expires_at"`
		Sudo          *time.Time `json:"sudo_expires_at"`
	}
	var list []recorded
	var pages struct{ Data []recorded }
	_ = json.Unmarshal(body, &list)
	_ = json.Unmarshal(body, &pages)
	at := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return *t
	}
	var all []*Token
	for i, r := range append(list, pages.Data...) {
		all = append(all, &Token{
			ID: fmt.Sprint(i), Name: r.Name, Scope: "global", Role: "engineer", Services: r.Services, Automation: len(pages.Data) > 0,
			IP: r.IP, UserAgent: r.Agent, Used: at(r.Used), Expires: at(r.Expires), Sudo: at(r.Sudo), Created: longAgo,
		})
	}
	return all
}

func (st *stage) seedTokens(name string) {
	switch {
	case name == "list":
		st.account.Tokens = recordedTokens(st.r.Response.Body)
		st.opt.Tokens[0].Automation = st.r.Name == "token/list" // hides the caller's own
		st.opt.Tokens[0].Role = "engineer"
	case name == "sudo":
		form, _ := url.ParseQuery(string(st.body))
		st.opt.Login, st.opt.Password = form.Get("username"), form.Get("password")
	case strings.HasPrefix(name, "create"):
		st.addService("SCRUBBEDxxxxxxxxxxxxxx")
		st.addService("0Us63sb8R1BpWQBIhluncu")
		st.addService("7frORaFZvHgC6eRAJdA7kf")
	case name == "self":
		st.opt.Tokens[0].Services = []string{"SCRUBBEDxxxxxxxxxxxxxx"}
		st.opt.Tokens[0].Sudo = time.Time{}
	case name == "get" || name == "delete":
		st.account.Tokens = []*Token{{ID: st.last, Name: "t", Scope: "global", Role: "engineer", Automation: true, Created: longAgo}}
	}
}

func (st *stage) form(body string) {
	st.kind, st.body = "application/x-www-form-urlencoded", []byte(body)
}

func (st *stage) seedErrors(name string, parts []string) {
	switch name {
	case "400-fqdn-taken":
		st.account.CustomDomains = []*CustomDomain{{Name: "fastly-sdk-gofastly-testing.com"}}
	case "400-package-invalid":
		st.body = multipartBody([]byte("no archive"))
	case "412-kv-add-exists", "412-kv-generation-mismatch":
		st.seedKV("get", parts)
	case "422-version-locked":
		st.version.Locked = true
	case "400-domain-taken-other-customer":
		st.opt.TakenDomains = []string{"likely-giving-calf.edgecompute.app"}
		st.form("name=likely-giving-calf.edgecompute.app")
	case "400-product-not-entitled":
		st.service.Type = Wasm
		st.after = append(st.after, func(s *Server) error { return s.Preset("no-entitlement") })
	case "401-expired-token":
		st.opt.Tokens[0].Expires = longAgo
	case "403-not-authorized":
		st.key = "unknown"
	case "409-duplicate-backend":
		st.version.Backends = []*Backend{backendOf(VCL, "name=self&address=a.example.com")}
		st.form("name=self&address=b.example.com")
	case "409-kv-store-name-exists":
		st.account.KVStores = []*KVStore{{Name: "my-store"}}
		st.kind, st.body = jsonType, []byte(`{"name":"my-store"}`)
	case "429-hourly-limit":
		st.opt.HourlyWrites = -1
		st.form("name=self&address=b.example.com")
	case "503-html":
		st.after = append(st.after, func(s *Server) error { return s.Fault(Fault{Kind: HTML503}) })
	}
}

// samplePackage is an archive like those the Fastly CLI builds.
func samplePackage(name string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	manifest := "manifest_version = 3\nname = \"" + name + "\"\ndescription = \"d\"\nlanguage = \"rust\"\nauthors = [\"<oss@fastly.com>\"]\n"
	for _, f := range []struct{ name, content string }{
		{"package/fastly.toml", manifest}, {"package/bin/main.wasm", "\x00asm\x01\x00\x00\x00"},
	} {
		_ = w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(f.content))
	}
	_ = w.Close()
	_ = z.Close()
	return b.Bytes()
}
