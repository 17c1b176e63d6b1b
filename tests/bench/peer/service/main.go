// SPDX-License-Identifier: Apache-2.0

// Command service is what `./dev bench` compares token-service with: WhoAmI of the same protocol on
// grpc-go, doing per call what token-service does (SHA-256 of the bearer token, a lookup in a sharded
// cache, the decision that the method's access option asks for, metrics with a latency histogram, no
// access log), and no more.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"peer/gen/options"
	"peer/gen/token"
)

// The roles as they are configured by default, as far as the bench's tokens carry them: a role
// allows an action if one of its policies has a pattern that matches it and no "!" pattern that does.
var policies = map[string][][]string{
	"osmo-default": {{"http:/api/version:*", "http:/v1/version:*", "http:/api/auth/login:Get"}},
	"osmo-user": {{"http:*:*", "!http:/api/auth/access_token/service*:*", "!http:/api/configs/*:*",
		"!http:/api/auth/authorize:*"}},
}

type principal struct {
	Hash       string     `json:"hash"`
	User       string     `json:"user"`
	Kind       token.Kind `json:"kind"`
	Roles      []string   `json:"roles"`
	Name       string     `json:"name"`
	ExpireDate string     `json:"expire_date"`

	expires  time.Time
	lastUsed atomic.Int64
}

const shards = 64

type cache struct {
	shard [shards]struct {
		sync.RWMutex
		byHash map[[sha256.Size]byte]*principal
	}
}

func (c *cache) find(secret string) *principal {
	hash := sha256.Sum256([]byte(secret))
	s := &c.shard[hash[0]%shards]
	s.RLock()
	p := s.byHash[hash]
	s.RUnlock()
	return p
}

// load reads principals, one JSON object a line.
func (c *cache) load(path string) error {
	for i := range c.shard {
		c.shard[i].byHash = map[[sha256.Size]byte]*principal{}
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		p := &principal{}
		if err := json.Unmarshal(lines.Bytes(), p); err != nil {
			return err
		}
		if p.expires, err = time.Parse(time.DateOnly, p.ExpireDate); err != nil {
			return err
		}
		raw, err := hex.DecodeString(p.Hash)
		if err != nil {
			return err
		}
		hash := [sha256.Size]byte(raw)
		c.shard[hash[0]%shards].byHash[hash] = p
	}
	return nil
}

// matches tells whether pattern, in which * stands for anything, matches text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, part := range parts[1:] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return text == "" || strings.HasSuffix(pattern, "*")
}

func allows(policy []string, action string) bool {
	allowed := false
	for _, pattern := range policy {
		if denied, ok := strings.CutPrefix(pattern, "!"); ok {
			if matches(denied, action) {
				return false
			}
		} else if !allowed {
			allowed = matches(pattern, action)
		}
	}
	return allowed
}

type key struct{}

type guard struct {
	tokens *cache
	access map[string]*options.Access
}

// newGuard reads, from the descriptors, what each method asks of its caller.
func newGuard(tokens *cache) *guard {
	g := &guard{tokens: tokens, access: map[string]*options.Access{}}
	methods := token.File_osmo_token_v1_token_service_proto.Services().ByName("TokenService").Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		path := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
		access, _ := proto.GetExtension(method.Options(), options.E_Access).(*options.Access)
		if access == nil {
			log.Fatalf("%s states no action", path)
		}
		g.access[path] = access
	}
	return g
}

func (g *guard) permit(p *principal, access *options.Access, request any) bool {
	if access.AnyCredential {
		return true
	}
	message := request.(proto.Message).ProtoReflect()
	for _, action := range access.Actions {
		if field := message.Descriptor().Fields().ByName(protoreflect.Name(action.WhenField)); field != nil &&
			field.Enum().Values().ByNumber(message.Get(field).Enum()).Name() != protoreflect.Name(action.WhenValue) {
			continue
		}
		for _, role := range p.Roles {
			for _, policy := range policies[role] {
				if allows(policy, action.Action) {
					return true
				}
			}
		}
		return false
	}
	return false
}

func (g *guard) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	access := g.access[info.FullMethod]
	if access == nil {
		return nil, status.Error(codes.PermissionDenied, "no such method")
	}
	header := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(header) != 1 || len(header[0]) < 8 || !strings.EqualFold(header[0][:7], "Bearer ") {
		return nil, status.Error(codes.Unauthenticated, "a credential is needed")
	}
	now := time.Now()
	p := g.tokens.find(header[0][7:])
	if p == nil || !now.Before(p.expires) {
		return nil, status.Error(codes.Unauthenticated, "the credential is not valid")
	}
	p.lastUsed.Store(now.UnixMicro())
	if !g.permit(p, access, request) {
		return nil, status.Error(codes.PermissionDenied, "no role allows it")
	}
	return next(context.WithValue(ctx, key{}, p), request)
}

type server struct {
	token.UnimplementedTokenServiceServer
}

func (server) WhoAmI(ctx context.Context, _ *token.WhoAmIRequest) (*token.WhoAmIResponse, error) {
	p := ctx.Value(key{}).(*principal)
	return &token.WhoAmIResponse{
		User: p.User, PrincipalKind: p.Kind, Roles: p.Roles, TokenName: p.Name, TokenKind: p.Kind,
		ExpireDate: p.ExpireDate, AuthMethod: "access_token",
	}, nil
}

func main() {
	principals := flag.String("principals", "", "file of principals, one JSON object a line")
	ready := flag.String("ready-file", "", "file that tells the addresses once they are bound")
	flag.Parse()

	tokens := &cache{}
	if err := tokens.load(*principals); err != nil {
		log.Fatal(err)
	}
	metrics := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())
	prometheus.MustRegister(metrics)
	s := grpc.NewServer(grpc.ChainUnaryInterceptor(metrics.UnaryServerInterceptor(), newGuard(tokens).intercept))
	token.RegisterTokenServiceServer(s, server{})
	metrics.InitializeMetrics(s)

	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		return listener
	}
	calls, scrapes := listen(), listen()
	go http.Serve(scrapes, promhttp.Handler())

	addresses, _ := json.Marshal(map[string]string{"grpc": calls.Addr().String(), "metrics": scrapes.Addr().String()})
	if err := os.WriteFile(*ready+".new", addresses, 0o600); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(*ready+".new", *ready); err != nil {
		log.Fatal(err)
	}
	log.Fatal(s.Serve(calls))
}
