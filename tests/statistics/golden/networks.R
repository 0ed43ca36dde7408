# The reference for networks crossed with slides: lme4 and lmerTest.
#
#   Rscript tests/statistics/golden/networks.R tests/statistics/golden
#
# Debian: r-cran-lme4 r-cran-lmertest. Writes networks_data.csv, networks.csv, the same of a magnification
# study with several networks (networks_magnification...), and networks_versions.txt, which are committed; no test runs R.
suppressPackageStartupMessages({library(lme4); library(lmerTest)})
folder <- commandArgs(trailingOnly = TRUE)[1]
tight <- lmerControl(optimizer = "bobyqa", check.conv.singular = "ignore", check.nobs.vs.nlev = "ignore",
                     check.nobs.vs.nRE = "ignore",
                     optCtrl = list(rhobeg = 0.02, rhoend = 1e-12, maxfun = 1e6))

# folds: each slide has one network; shared: every patch is judged by all networks, else each has patches of its own
sample_case <- function(name, networks, sizes, sds, seed, drop = 0, empty = c(), shift = 0, shared = FALSE,
                        folds = FALSE) {
  set.seed(seed)
  slides <- length(sizes)
  patch <- data.frame(slide = rep(seq_len(slides), sizes), patch = sequence(sizes))
  rows <- merge(patch, data.frame(network = seq_len(networks)))
  if (folds) rows <- rows[(rows$slide - 1) %% networks + 1 == rows$network, ]
  cell <- (rows$network - 1) * slides + rows$slide
  place <- match(paste(rows$slide, rows$patch), unique(paste(rows$slide, rows$patch)))
  rows$y <- shift + rnorm(networks, 0, sds[1])[rows$network] + rnorm(slides, 0, sds[2])[rows$slide] +
    rnorm(networks * slides, 0, sds[3])[cell] + shared * rnorm(nrow(rows), 0, 0.4)[place] + rnorm(nrow(rows), 0, 0.5)
  rows <- rows[!(cell %in% empty) & runif(nrow(rows)) >= drop, ]
  own <- if (shared) "" else paste0("n", rows$network)
  data.frame(case = name, network = sprintf("n%02d", rows$network), slide = sprintf("s%02d", rows$slide),
             patch = sprintf("s%02d-p%02d%s", rows$slide, rows$patch, own), y = round(rows$y, 6))
}
cases <- list(
  list("balanced", 4, rep(5, 7), c(0.4, 0.5, 0.3), 11),
  list("unbalanced", 5, c(2, 3, 5, 9, 14, 7, 4, 11), c(0.4, 0.5, 0.3), 2, drop = 0.3, shift = 100),
  list("empty cells", 5, c(3, 4, 6, 5, 8, 7), c(0.5, 0.4, 0.3), 3, drop = 0.1, empty = c(2, 9, 16, 30)),
  list("no network", 4, c(5, 6, 4, 7, 5, 8), c(0, 0.5, 0.3), 14, drop = 0.1),
  list("one value a cell", 5, rep(1, 9), c(0.5, 0.4, 0.3), 6),
  list("shared patches", 4, c(4, 6, 3, 7, 5), c(0.4, 0.5, 0.3), 7, drop = 0.2, shared = TRUE),
  list("folds", 5, rep(c(4, 7, 5), 5), c(0.5, 0.4, 0), 8, folds = TRUE)
)
data <- do.call(rbind, lapply(cases, function(one) do.call(sample_case, one)))
groups <- c("one value a cell" = "(1 | network) + (1 | slide)", "folds" = "(1 | network) + (1 | slide)",
            "shared patches" = "(1 | network) + (1 | slide) + (1 | patch) + (1 | network:slide)")
rows <- list()
for (name in unique(data$case)) {
  part <- data[data$case == name, ]
  random <- if (name %in% names(groups)) groups[[name]] else "(1 | network) + (1 | slide) + (1 | network:slide)"
  fit <- lmer(as.formula(paste("y ~ 1 +", random)), part, control = tight)
  for (again in 1:3) fit <- update(fit, start = getME(fit, "theta"), data = part)
  at <- as.data.frame(VarCorr(fit))
  variance <- function(group) { found <- at$vcov[at$grp == group]; if (length(found)) found else NA }
  test <- contest1D(fit, 1)
  rows[[length(rows) + 1]] <- data.frame(
    case = name, network = variance("network"), unit = variance("slide"), patch = variance("patch"),
    cell = variance("network:slide"), residual = sigma(fit)^2, deviance = as.numeric(-2 * logLik(fit)),
    estimate = test[["Estimate"]], se = test[["Std. Error"]], df = test[["df"]], p = test[["Pr(>|t|)"]])
}
result <- do.call(rbind, rows)
write.csv(data, file.path(folder, "networks_data.csv"), row.names = FALSE, quote = FALSE)
result[] <- lapply(result, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
write.csv(result, file.path(folder, "networks.csv"), row.names = FALSE, quote = FALSE)

# magnifications, each with networks of its own
set.seed(21)
mags <- c(10, 20, 40)
sizes <- c(3, 5, 4, 2, 6, 4)
place <- data.frame(slide = rep(seq_along(sizes), sizes), location = seq_len(sum(sizes)))
rows <- merge(merge(place, data.frame(m = 1:3)), data.frame(network = 1:4))
rows$y <- 0.2 * (rows$m == 2) + rnorm(6, 0, 0.4)[rows$slide] + rnorm(sum(sizes), 0, 0.3)[rows$location] +
  rnorm(18, 0, 0.3)[rows$slide + 6 * (rows$m - 1)] + rnorm(12, 0, 0.3)[rows$network + 4 * (rows$m - 1)] +
  rnorm(nrow(rows), 0, 0.4)
rows <- rows[runif(nrow(rows)) > 0.2, ]
data <- data.frame(slide = paste0("s", rows$slide), location = sprintf("l%02d", rows$location), mag = mags[rows$m],
                   network = paste0("n", rows$network), y = round(rows$y, 6))
write.csv(data, file.path(folder, "networks_magnification_data.csv"), row.names = FALSE, quote = FALSE)
groups <- "(1 | slide) + (1 | slide:location) + (1 | slide:mag) + (1 | mag:network)"
fit <- lmer(as.formula(paste("y ~ factor(mag) +", groups)), data, control = tight)
for (again in 1:3) fit <- update(fit, start = getME(fit, "theta"), data = data)
rows <- lapply(names(fixef(fit)), function(term) {
  weights <- as.numeric(names(fixef(fit)) == term)
  plain <- contest1D(fit, weights)
  at <- VarCorr(fit)
  data.frame(term = term, slide = as.numeric(at$slide), location = as.numeric(at[["slide:location"]]),
             slide_mag = as.numeric(at[["slide:mag"]]), network = as.numeric(at[["mag:network"]]), rows = sigma(fit)^2,
             deviance = as.numeric(-2 * logLik(fit)), estimate = plain[["Estimate"]], se = plain[["Std. Error"]],
             df = plain[["df"]], p = plain[["Pr(>|t|)"]])
})
result <- do.call(rbind, rows)
result[] <- lapply(result, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
write.csv(result, file.path(folder, "networks_magnification.csv"), row.names = FALSE, quote = FALSE)
versions <- sapply(c("lme4", "lmerTest"), function(name) as.character(packageVersion(name)))
writeLines(c(R.version.string, paste(names(versions), versions)), file.path(folder, "networks_versions.txt"))
