package provision

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// TestS68LookupReachesEveryPage: of services and of automation tokens, which have
// different ways to tell that there are more.
func TestS68LookupReachesEveryPage(t *testing.T) {
	fake := fastlytest.New(fastlytest.Options{})
	fake.Change(func(a *fastlytest.Account) {
		for i := range 250 {
			a.Services = append(a.Services, &fastlytest.Service{ID: fmt.Sprintf("s%d", i), Name: fmt.Sprintf("service %d", i), Type: fastlytest.Wasm,
				Versions: []*fastlytest.Version{{Number: 1}}})
		}
	})
	for i := range 150 {
		fake.AddToken(fastlytest.Token{ID: fmt.Sprintf("t%d", i), Automation: true, Scope: "purge_select"})
	}
	server := httptest.NewServer(fake.Handler())
	defer server.Close()
	api, err := fastly.New(fastly.Options{Token: config.NewSecret(fastlytest.DefaultToken), Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	services, err := api.Services(t.Context())
	if err != nil || len(services) != 250 || !slices.ContainsFunc(services, func(s fastly.Service) bool { return s.Name == "service 249" }) {
		t.Errorf("%d services, %v", len(services), err)
	}
	tokens, err := api.AllTokens(t.Context())
	if err != nil || !slices.ContainsFunc(tokens, func(t fastly.Token) bool { return t.ID == "t149" }) {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
}
