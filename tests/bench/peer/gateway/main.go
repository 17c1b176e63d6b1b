// SPDX-License-Identifier: Apache-2.0

// Command gateway is the JSON front of the peer that `./dev bench` compares with: grpc-gateway in a
// process of its own, with metrics, without an access log.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"peer/gen/token"
)

func main() {
	service := flag.String("service", "", "address of the gRPC service")
	ready := flag.String("ready-file", "", "file that tells the address once it is bound")
	flag.Parse()

	api := runtime.NewServeMux()
	if err := token.RegisterTokenServiceHandlerFromEndpoint(context.Background(), api, *service,
		[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}); err != nil {
		log.Fatal(err)
	}
	calls := promauto.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"code", "method"})
	latency := promauto.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_seconds"}, []string{"method"})
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	mux.Handle("/", promhttp.InstrumentHandlerCounter(calls, promhttp.InstrumentHandlerDuration(latency, api)))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	addresses, _ := json.Marshal(map[string]string{"http": listener.Addr().String()})
	if err := os.WriteFile(*ready+".new", addresses, 0o600); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(*ready+".new", *ready); err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, mux))
}
