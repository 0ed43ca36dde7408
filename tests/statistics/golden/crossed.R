# The reference for a magnification study (locations nested in slides, crossed with magnifications): lme4, lmerTest and
# pbkrtest.
#
#   Rscript tests/statistics/golden/crossed.R tests/statistics/golden
#
# Debian: r-cran-lme4 r-cran-lmertest r-cran-pbkrtest. Writes crossed_data.csv and crossed.csv, which are committed; no
# test runs R.
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest)})
folder <- commandArgs(trailingOnly = TRUE)[1]
tight <- lmerControl(optimizer = "bobyqa", check.conv.singular = "ignore",
                     optCtrl = list(rhobeg = 0.02, rhoend = 1e-10, maxfun = 1e6))

sample_case <- function(name, locations, sds, seed, drop = 0, shift = 0) {
  set.seed(seed)
  slides <- length(locations)
  place <- data.frame(slide = rep(seq_len(slides), locations), location = sequence(locations),
                      at = rnorm(sum(locations), 0, sds[2]), x = round(rnorm(sum(locations)), 6))
  rows <- merge(place, data.frame(mag = c(5, 10, 20, 40)))
  cell <- matrix(rnorm(slides * 4, 0, sds[3]), slides)
  rows$y <- shift + 0.3 * (rows$mag == 20) + 0.2 * rows$x + rnorm(slides, 0, sds[1])[rows$slide] + rows$at +
    cell[cbind(rows$slide, match(rows$mag, c(5, 10, 20, 40)))] + rnorm(nrow(rows), 0, 0.5)
  rows <- rows[runif(nrow(rows)) >= drop, ]
  data.frame(case = name, slide = sprintf("s%02d", rows$slide), location = sprintf("l%02d", rows$location),
             mag = rows$mag, x = rows$x, y = round(rows$y, 6))
}
data <- rbind(
  sample_case("balanced", rep(6, 6), c(0.5, 0.4, 0.3), 1),
  sample_case("unbalanced", c(2, 3, 5, 8, 12, 7, 4), c(0.5, 0.4, 0.3), 2, drop = 0.25, shift = 100),
  sample_case("no slide and magnification", c(5, 6, 4, 7, 5, 8), c(0.5, 0.4, 0), 4, drop = 0.1),
  sample_case("no slide", c(5, 6, 4, 7, 5, 8), c(0, 0.4, 0.3), 6, drop = 0.1)
)
rows <- list()
for (name in unique(data$case)) for (formula in c("factor(mag)", "factor(mag) + x")) for (reml in c(TRUE, FALSE)) {
  part <- data[data$case == name, ]
  groups <- "+ (1 | slide) + (1 | slide:location) + (1 | slide:mag)"
  fit <- lmer(as.formula(paste("y ~", formula, groups)), part, REML = reml, control = tight)
  for (again in 1:3) fit <- update(fit, start = getME(fit, "theta"), data = part)
  for (term in names(fixef(fit))) {
    weights <- as.numeric(names(fixef(fit)) == term)
    plain <- contest1D(fit, weights)
    kr <- if (reml) contest1D(fit, weights, ddf = "Kenward-Roger") else NULL
    rows[[length(rows) + 1]] <- data.frame(
      case = name, formula = formula, method = ifelse(reml, "reml", "ml"), term = term,
      slide = as.numeric(VarCorr(fit)$slide), location = as.numeric(VarCorr(fit)[["slide:location"]]),
      slide_mag = as.numeric(VarCorr(fit)[["slide:mag"]]), rows = sigma(fit)^2,
      deviance = as.numeric(-2 * logLik(fit)),
      estimate = plain[["Estimate"]], se = plain[["Std. Error"]], df = plain[["df"]], p = plain[["Pr(>|t|)"]],
      kr_se = if (reml) kr[["Std. Error"]] else NA, kr_df = if (reml) kr[["df"]] else NA,
      kr_p = if (reml) kr[["Pr(>|t|)"]] else NA)
  }
}
result <- do.call(rbind, rows)
write.csv(data, file.path(folder, "crossed_data.csv"), row.names = FALSE, quote = FALSE)
result[] <- lapply(result, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
write.csv(result, file.path(folder, "crossed.csv"), row.names = FALSE, quote = FALSE)
