package fastlytest

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/nacl/box"
)

// clientKey is a key that one secret may be encrypted to.
type clientKey struct {
	public, private [32]byte
	expires         time.Time
}

// clientKeyLife is how long one is good; what the recordings show. maxClientKeys
// bounds how many are remembered.
const (
	clientKeyLife = 10 * time.Minute
	maxClientKeys = 1000
)

// maxSecret is how long a secret may be.
const maxSecret = 64 << 10

// secretPage is how many entries a list has unless the request says otherwise.
const secretPage = 10

// SigningKey is the public key that client keys are signed with, for clients
// that pin Fastly's.
func (s *Server) SigningKey() ed25519.PublicKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signer().Public().(ed25519.PublicKey)
}

func (s *Server) signer() ed25519.PrivateKey { return signer(s.opt.Seed, s.turn) }

func showSecretStore(s *SecretStore) object {
	return object{"id": s.ID, "name": s.Name, "created_at": stamp(s.Created)}
}

func showSecret(s *Secret) object {
	return object{"name": s.Name, "digest": s.Digest, "created_at": stamp(s.Created)}
}

// secretList is a page of a list that is sorted by its names.
func secretList[T any](c *call, all map[string]*T, show func(*T) object) object {
	limit := c.number("limit", secretPage)
	names, next := window(slices.Sorted(maps.Keys(all)), fromCursor(c.query().Get("cursor")), limit)
	data := []object{}
	for _, name := range names {
		data = append(data, show(all[name]))
	}
	meta := object{"limit": limit}
	if next != "" {
		meta["next_cursor"] = next
	}
	return object{"data": data, "meta": meta}
}

func (c *call) listSecretStores() (any, error) {
	byName := map[string]*SecretStore{}
	for _, s := range c.account.SecretStores {
		if name := c.query().Get("name"); name == "" || name == s.Name {
			byName[s.Name] = s
		}
	}
	return secretList(c, byName, showSecretStore), nil
}

func (c *call) createSecretStore() (any, error) {
	name := c.text("name")
	if name == "" {
		return nil, titled(http.StatusBadRequest, "Bad Request", "name is required")
	}
	if find(c.account.SecretStores, func(s *SecretStore) bool { return s.Name == name }) != nil {
		return nil, titled(http.StatusConflict, "Conflict", "secret store with name '"+name+"' already exists")
	}
	if err := room("secret stores", len(c.account.SecretStores)); err != nil {
		return nil, err
	}
	s := &SecretStore{ID: c.mint.id(), Name: name, Created: c.at}
	c.account.SecretStores = append(c.account.SecretStores, s)
	return showSecretStore(s), nil
}

func (c *call) onSecretStore() (*SecretStore, error) {
	if s := c.account.secretStore(c.path("store")); s != nil {
		return s, nil
	}
	return nil, titled(http.StatusNotFound, "Not Found", "secret store not found")
}

func (c *call) getSecretStore() (any, error) {
	s, err := c.onSecretStore()
	if err != nil {
		return nil, err
	}
	return showSecretStore(s), nil
}

// deleteSecretStore takes the secrets along.
func (c *call) deleteSecretStore() (any, error) {
	s, err := c.onSecretStore()
	if err != nil {
		return nil, err
	}
	c.account.SecretStores = without(c.account.SecretStores, s)
	return nil, nil
}

func (c *call) createClientKey() (any, error) {
	raw := c.mint.bytes()
	private, err := ecdh.X25519().NewPrivateKey(raw[:])
	if err != nil {
		return nil, err
	}
	k := &clientKey{expires: c.at.Add(clientKeyLife)}
	copy(k.private[:], private.Bytes())
	copy(k.public[:], private.PublicKey().Bytes())
	maps.DeleteFunc(c.clientKeys, func(_ string, k *clientKey) bool { return !k.expires.After(c.at) })
	if len(c.clientKeys) == maxClientKeys {
		return nil, titled(http.StatusTooManyRequests, "Too Many Requests", "too many client keys")
	}
	c.clientKeys[string(k.public[:])] = k
	return object{
		"public_key": k.public[:], "signature": ed25519.Sign(c.signer(), k.public[:]), "expires_at": k.expires.Format(time.RFC3339Nano),
	}, nil
}

func (c *call) getSigningKey() (any, error) {
	a := jsonAnswer(http.StatusOK, object{"signing_key": []byte(c.signer().Public().(ed25519.PublicKey))})
	a.header.Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(a.body))))
	return a, nil
}

func (c *call) listSecrets() (any, error) {
	s, err := c.onSecretStore()
	if err != nil {
		return nil, err
	}
	byName := map[string]*Secret{}
	for _, x := range s.Secrets {
		byName[x.Name] = x
	}
	return secretList(c, byName, showSecret), nil
}

// putSecret serves POST, which creates, PATCH, which replaces, and PUT, which
// does either.
func (c *call) putSecret() (any, error) {
	s, err := c.onSecretStore()
	if err != nil {
		return nil, err
	}
	name := c.text("name")
	old := s.Secret(name)
	switch {
	case name == "":
		return nil, titled(http.StatusBadRequest, "Bad Request", "name is required")
	case old != nil && c.req.Method == http.MethodPost:
		return nil, titled(http.StatusConflict, "Conflict", "secret with name '"+name+"' already exists")
	case old == nil && c.req.Method == http.MethodPatch:
		return nil, titled(http.StatusNotFound, "Not Found", "secret not found")
	}
	if err := room("secrets", len(s.Secrets)); err != nil {
		return nil, err
	}
	x := &Secret{Name: name, Created: c.at}
	if x.Value, x.Encrypted, err = c.openSecret(); err != nil {
		return nil, err
	}
	salt := c.mint.bytes()
	sum := sha256.Sum256(append(salt[:], x.Value...))
	x.Digest = sum[:]
	o := showSecret(x)
	if old != nil {
		s.Secrets = without(s.Secrets, old)
		o["recreated"] = true
	}
	s.Secrets = append(s.Secrets, x)
	return o, nil
}

// openSecret decodes the secret of the request and, if it is encrypted to a
// client key, decrypts it. A client key is good once.
func (c *call) openSecret() (value []byte, encrypted bool, err error) {
	value, err = base64.StdEncoding.DecodeString(c.text("secret"))
	if err != nil || len(value) == 0 || len(value) > maxSecret+box.AnonymousOverhead {
		return nil, false, titled(http.StatusBadRequest, "Bad Request", "secret must be base64 and not empty")
	}
	if _, encrypted = c.json["client_key"].(string); !encrypted {
		return value, false, nil
	}
	public, _ := base64.StdEncoding.DecodeString(c.text("client_key"))
	k := c.clientKeys[string(public)]
	if k == nil || !k.expires.After(c.at) {
		return nil, true, titled(http.StatusBadRequest, "Bad Request", "client key is unknown or has expired")
	}
	plain, ok := box.OpenAnonymous(nil, value, &k.public, &k.private)
	if !ok {
		return nil, true, titled(http.StatusBadRequest, "Bad Request", "secret cannot be decrypted")
	}
	delete(c.clientKeys, string(public))
	return plain, true, nil
}

func (c *call) pickSecret() (*SecretStore, *Secret, error) {
	s, err := c.onSecretStore()
	if err != nil {
		return nil, nil, err
	}
	if x := s.Secret(c.path("name")); x != nil {
		return s, x, nil
	}
	return nil, nil, titled(http.StatusNotFound, "Not Found", "secret not found")
}

func (c *call) getSecret() (any, error) {
	_, x, err := c.pickSecret()
	if err != nil {
		return nil, err
	}
	return showSecret(x), nil
}

func (c *call) deleteSecret() (any, error) {
	s, x, err := c.pickSecret()
	if err != nil {
		return nil, err
	}
	s.Secrets = without(s.Secrets, x)
	return nil, nil
}
