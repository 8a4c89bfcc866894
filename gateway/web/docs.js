// Shows the API's documentation from this server's own OpenAPI description.
"use strict";

window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true });
