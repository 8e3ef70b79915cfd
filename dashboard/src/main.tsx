import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./app.css";
import { endSession } from "./features/end-session";
import { keepPageWithoutCode } from "./features/page-error";
import { makeQueryClient, makeRouter } from "./router";

keepPageWithoutCode();
const queryClient = makeQueryClient(() => endSession(router, queryClient, true));
const router = makeRouter(queryClient);
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
